// Price and drawdown charts. Figures come from the price-series endpoint; this only draws them.
(() => {
  const { createChart, AreaSeries, BaselineSeries, ColorType } = window.LightweightCharts;
  const root = document.documentElement;
  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // Canvases understand neither `var()` nor `color-mix()`: let the browser work the colour out.
  const colour = (name, alpha) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = getComputedStyle(probe).color;
    probe.remove();
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
  };

  const look = () => ({
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: "transparent" },
      textColor: token("--muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      attributionLogo: false,
    },
    grid: { vertLines: { visible: false }, horzLines: { color: token("--line") } },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderVisible: false, timeVisible: true },
    localization: { locale: root.lang || "en" },
    handleScroll: false,
    handleScale: false,
  });

  const seconds = (point) => Math.floor(new Date(point.at).getTime() / 1000);

  class PriceChart {
    constructor(element) {
      this.element = element;
      this.chart = createChart(element, look());
      this.price = this.chart.addSeries(AreaSeries, { priceFormat: { type: "price", precision: 4, minMove: 0.0001 }, lineWidth: 2 });
      const below = element.dataset.drawdown && document.getElementById(element.dataset.drawdown);
      if (below) {
        this.lower = createChart(below, { ...look(), timeScale: { visible: false, borderVisible: false } });
        this.drawdown = this.lower.addSeries(BaselineSeries, {
          baseValue: { type: "price", price: 0 },
          lineWidth: 1,
          priceFormat: { type: "custom", formatter: (value) => `${value.toFixed(1)} %` },
        });
      }
      this.paint();
      this.load(element.dataset.range);
    }

    paint() {
      this.chart.applyOptions(look());
      this.price.applyOptions({
        lineColor: colour("--accent-ink", 1), topColor: colour("--accent-ink", 0.24), bottomColor: colour("--accent-ink", 0),
      });
      if (this.lower) {
        this.lower.applyOptions({ ...look(), timeScale: { visible: false, borderVisible: false } });
        this.drawdown.applyOptions({
          bottomLineColor: colour("--loss", 1), bottomFillColor1: colour("--loss", 0.04), bottomFillColor2: colour("--loss", 0.26),
          topLineColor: colour("--loss", 1), topFillColor1: "transparent", topFillColor2: "transparent",
        });
      }
    }

    async load(range) {
      const url = new URL(this.element.dataset.url, location.href);
      url.searchParams.set("range", range);
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const { points } = await answer.json();
      this.price.setData(points.map((point) => ({ time: seconds(point), value: Number(point.price) })));
      this.chart.timeScale().fitContent();
      if (this.lower) {
        this.drawdown.setData(points.map((point) => ({ time: seconds(point), value: Number(point.drawdown) * 100 })));
        this.lower.timeScale().fitContent();
      }
    }
  }

  document.querySelectorAll("[data-price-chart]").forEach((element) => {
    const drawn = new PriceChart(element);
    document.addEventListener("themechange", () => drawn.paint());
    document.querySelectorAll(`[data-chart-ranges="${element.id}"] [data-range]`).forEach((button) => {
      button.addEventListener("click", () => {
        button.parentElement.querySelectorAll("[data-range]").forEach((other) => {
          other.setAttribute("aria-pressed", String(other === button));
        });
        drawn.load(button.dataset.range);
      });
    });
  });
})();
