// Price and drawdown charts. Figures come from the price-series endpoint; this only draws them. What the server
// drew in their place stays until there is something to show, and where the figures do not come.
(() => {
  const { createChart, AreaSeries, BaselineSeries, ColorType } = window.LightweightCharts;
  const root = document.documentElement;
  // English as the pages write it: day before month, hours from 0 to 23.
  const locale = root.lang === "en" ? "en-GB" : root.lang || "en-GB";
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
    rightPriceScale: { borderVisible: false, entireTextOnly: true },
    timeScale: { borderVisible: false, timeVisible: true },
    localization: { locale },
    handleScroll: false,
    handleScale: false,
  });

  const seconds = (point) => Math.floor(new Date(point.at).getTime() / 1000);
  const MINUS = "\u2212";
  const percent = (fraction) => {
    const points = (fraction * 100).toFixed(2).replace("-", MINUS).replace(`${MINUS}0.00`, "0.00");
    return `${fraction > 0 && points !== "0.00" ? "+" : ""}${points}\u202f%`;
  };

  class PriceChart {
    constructor(element) {
      this.element = element;
      // The reader's own zone, as everywhere on the page; the browser's where the page names none.
      const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone: element.dataset.zone });
      this.moment = (at) => moments.format(at);
      this.readout = document.querySelector(`[data-readout="${element.id}"]`);
      this.points = [];
      this.load(element.dataset.range);
    }

    // One chart with two panes, so that both share a time axis and the line that follows the pointer.
    draw() {
      this.element.querySelectorAll("[data-stand-in]").forEach((picture) => picture.remove());
      this.element.classList.add("is-drawn");
      if (this.element.dataset.label) {
        this.element.setAttribute("role", "img");
        this.element.setAttribute("aria-label", this.element.dataset.label);
      }
      this.chart = createChart(this.element, look());
      this.chart.applyOptions({ localization: { timeFormatter: (time) => this.moment(new Date(time * 1000)) } });
      this.price = this.chart.addSeries(AreaSeries, { priceFormat: { type: "price", precision: 4, minMove: 0.0001 }, lineWidth: 2 });
      if (this.element.hasAttribute("data-with-drawdown")) {
        this.drawdown = this.chart.addSeries(BaselineSeries, {
          baseValue: { type: "price", price: 0 },
          lineWidth: 1,
          priceFormat: { type: "custom", formatter: (value) => `${value.toFixed(1).replace("-", MINUS)} %` },
        }, 1);
        const [upper, lower] = this.chart.panes();
        upper.setStretchFactor(3);
        lower.setStretchFactor(1);
      }
      this.chart.subscribeCrosshairMove((event) => this.tell(event.time));
      this.paint();
    }

    paint() {
      if (!this.chart) return;
      this.chart.applyOptions(look());
      this.chart.applyOptions({ layout: { panes: { separatorColor: token("--line"), enableResize: false } } });
      this.price.applyOptions({
        lineColor: colour("--accent-ink", 1), topColor: colour("--accent-ink", 0.24), bottomColor: colour("--accent-ink", 0),
      });
      if (this.drawdown) {
        this.drawdown.applyOptions({
          bottomLineColor: colour("--loss", 1), bottomFillColor1: colour("--loss", 0.04), bottomFillColor2: colour("--loss", 0.26),
          topLineColor: colour("--loss", 1), topFillColor1: "transparent", topFillColor2: "transparent",
        });
      }
    }

    async load(range) {
      this.range = range;
      const url = new URL(this.element.dataset.url, location.href);
      url.searchParams.set("range", range);
      const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer || !answer.ok) return;
      const { points, start_price: start } = await answer.json();
      if (!points.length) return;
      if (!this.chart) this.draw();
      this.points = points;
      this.start = Number(start || points[0].price);
      this.price.setData(points.map((point) => ({ time: seconds(point), value: Number(point.price) })));
      if (this.drawdown) {
        this.drawdown.setData(points.map((point) => ({ time: seconds(point), value: Number(point.drawdown) * 100 })));
      }
      this.chart.timeScale().fitContent();
      this.tell();
    }

    // What the chart shows where the pointer is, else at its end.
    tell(time) {
      if (!this.readout || !this.points.length) return;
      const point = this.points.find((one) => seconds(one) === time) || this.points[this.points.length - 1];
      const [price, drawdown, range] = this.readout.dataset.labels.split("|");
      const written = [
        ["", this.moment(new Date(point.at))],
        [price, Number(point.price).toFixed(4)],
        [range, this.start ? percent(Number(point.price) / this.start - 1) : "\u2013"],
        [drawdown, percent(Number(point.drawdown))],
      ];
      this.readout.replaceChildren(...written.map(([label, figure]) => {
        const part = document.createElement("span");
        const value = document.createElement("strong");
        value.textContent = figure;
        part.append(label ? `${label} ` : "", value);
        return part;
      }));
    }
  }

  document.querySelectorAll("[data-price-chart]").forEach((element) => {
    const drawn = new PriceChart(element);
    document.addEventListener("themechange", () => drawn.paint());
    // Figures beside it that were sent anew mean that there is another price.
    document.addEventListener("htmx:afterSettle", (event) => {
      if (event.target.matches("[data-live-piece]:not(#bell)")) drawn.load(drawn.range);
    });
    document.querySelectorAll(`[data-chart-ranges="${element.id}"] [data-range]`).forEach((button) => {
      button.addEventListener("click", (event) => {
        event.preventDefault();
        button.parentElement.querySelectorAll("[data-range]").forEach((other) => {
          if (other.tagName === "BUTTON") other.setAttribute("aria-pressed", String(other === button));
          else other.toggleAttribute("aria-current", false);
        });
        if (button.tagName !== "BUTTON") button.setAttribute("aria-current", "true");
        drawn.load(button.dataset.range);
      });
    });
  });
})();
