// Small comforts on top of pages that work without them.
(() => {
  const root = document.documentElement;

  // Switch the theme in place; the form still posts it where this script is missing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches(".theme-switch") && event.submitter) {
      event.preventDefault();
      const theme = event.submitter.value;
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
      root.setAttribute("data-bs-theme", theme);
      root.setAttribute("data-theme-chosen", "");
      document.dispatchEvent(new CustomEvent("themechange"));
      // The button that was pressed is gone; its opposite stands there now.
      [...form.querySelectorAll("button")].find((button) => button.offsetParent)?.focus();
      return;
    }
    // The same click twice is one request on the server as well; this only spares the wait.
    const button = form.querySelector("[data-once]");
    if (button) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
      button.classList.add("btn-loading");
    }
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.querySelectorAll(".btn-loading").forEach((button) => button.classList.remove("btn-loading"));
    });
  });

  // Menus close on a click outside and on Escape.
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    const chip = event.target.closest("[data-fill]");
    if (chip) {
      const input = document.getElementById(chip.dataset.fill);
      if (input) {
        input.value = chip.dataset.value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.focus();
      }
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  // Confirmation sheets: a link or a form leads to a page that asks; where this script runs, its question opens in place.
  const openSheet = async (address, opener, sent, otherwise) => {
    let answer, text;
    try {
      answer = await fetch(address, { ...sent, headers: { Accept: "text/html" } });
      text = await answer.text();
    } catch {
      answer = null;
    }
    // Where something else is asked first, the password say, that is a page and no question.
    const page = answer?.ok && !answer.redirected ? new DOMParser().parseFromString(text, "text/html") : null;
    const question = page?.querySelector("[data-sheet-content]");
    const title = page?.querySelector("h1");
    if (!question || !title) return otherwise();
    const sheet = document.createElement("dialog");
    const heading = document.createElement("h2");
    sheet.className = "sheet";
    heading.className = "sheet-title";
    heading.id = "sheet-title";
    heading.textContent = title.textContent;
    sheet.setAttribute("aria-labelledby", heading.id);
    sheet.append(heading, document.importNode(question, true));
    // There the form sends to its own address, and the way back is a link: here it is closing the sheet.
    sheet.querySelectorAll("form:not([action])").forEach((form) => form.setAttribute("action", address));
    sheet.addEventListener("click", (event) => {
      if (event.target !== sheet && !event.target.closest("[data-sheet-close]")) return;
      event.preventDefault();
      sheet.close();
    });
    sheet.addEventListener("close", () => {
      sheet.remove();
      // Meanwhile the piece with the opener may have been sent anew.
      (opener.isConnected ? opener : document.getElementById(opener.id))?.focus();
    });
    document.getElementById("content").append(sheet);
    sheet.showModal();
    // Whoever presses Enter at once has ended nothing.
    sheet.querySelector("textarea, input:not([type=hidden]), [data-sheet-close]")?.focus();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-sheet]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    openSheet(link.href, link, {}, () => location.assign(link.href));
  });
  // A form whose answer asks once more before anything is done.
  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!form.matches("[data-sheet]") || event.defaultPrevented || !submitter) return;
    event.preventDefault();
    const body = new FormData(form, submitter);
    openSheet(form.getAttribute("action") || location.href, submitter, { method: "POST", body }, () => {
      form.removeAttribute("data-sheet");
      form.requestSubmit(submitter);
    });
  });

  // Good news leaves by itself; what needs doing stays.
  document.querySelectorAll(".toasts .notice-success, .toasts .notice-info").forEach((toast) => {
    window.setTimeout(() => toast.classList.add("is-leaving"), 8000);
    window.setTimeout(() => toast.remove(), 8600);
  });

  // What is there to be copied.
  document.querySelectorAll("[data-copies]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).value);
      button.querySelector("span").textContent = button.dataset.copied;
    });
  });

  // Selects that filter submit at once; by keyboard with Enter, since each arrow would already be a choice.
  let choosesByKey = false;
  document.addEventListener("pointerdown", () => { choosesByKey = false; }, true);
  document.addEventListener("keydown", (event) => {
    choosesByKey = true;
    if (event.key !== "Enter" || !event.target.matches("[data-submits]")) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]") && !choosesByKey) event.target.form.requestSubmit();
  });

  // What a form is about to replace says so while the answer is on its way.
  const showLoading = (form, isLoading) => {
    const results = document.querySelector(form.dataset.loads);
    results?.classList.toggle("is-loading", isLoading);
    results?.setAttribute("aria-busy", String(isLoading));
  };
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-loads]") && !event.defaultPrevented) showLoading(event.target, true);
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-loads]").forEach((form) => showLoading(form, false));
  });

  // A piece sent anew changes only where it reads differently: what its reader opened, ticked or typed stays.
  if (window.Idiomorph) {
    const { callbacks } = window.Idiomorph.defaults;
    callbacks.beforeAttributeUpdated = (name, element) => name !== "open" || !element.matches("details");
    const kept = "input:not([type=hidden]), select, textarea, [data-price-chart], [data-chart-ranges], [data-readout]";
    callbacks.beforeNodeMorphed = (old) => !(old instanceof Element && old.matches(kept));
  }

  // Where what had the focus was disabled or replaced on the way, it goes to what bears its name now.
  const focusedBefore = new WeakMap();
  document.addEventListener("htmx:beforeRequest", (event) => focusedBefore.set(event.detail.xhr, document.activeElement?.id));
  document.addEventListener("htmx:afterSettle", (event) => {
    const id = focusedBefore.get(event.detail.xhr);
    if (id && document.activeElement === document.body) document.getElementById(id)?.focus({ preventScroll: true });
  });

  // After a refresh, a figure that moved says in which direction.
  let before = new Map();
  document.addEventListener("htmx:beforeSwap", () => {
    before = new Map();
    document.querySelectorAll("[data-live]").forEach((figure) => before.set(figure.dataset.live, figure.dataset.value));
  });
  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("[data-live]").forEach((figure) => {
      const old = before.get(figure.dataset.live);
      if (old === undefined || old === figure.dataset.value) return;
      figure.classList.add(Number(figure.dataset.value) > Number(old) ? "moved-up" : "moved-down");
    });
    before = new Map();
  });
})();
