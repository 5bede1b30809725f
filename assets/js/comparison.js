// Choosing offers to compare: no more than there is room for, and a choice that survives filters and pages.
(() => {
  const form = document.getElementById("comparison-form");
  if (!form) return;
  const most = Number(form.dataset.most);
  const count = form.querySelector("[data-count]");
  const boxes = () => [...form.elements].filter((field) => field.name === "offer");
  const chosen = () => boxes().filter((box) => box.checked).map((box) => box.value);

  const update = () => {
    const values = chosen();
    boxes().forEach((box) => { box.disabled = !box.checked && values.length >= most; });
    count.textContent = count.dataset.text.replace("{chosen}", values.length).replace("{most}", most);
    form.classList.toggle("has-choice", values.length > 0);
    const address = new URL(location.href);
    address.searchParams.delete("offer");
    values.forEach((value) => address.searchParams.append("offer", value));
    history.replaceState(history.state, "", address);
  };

  document.addEventListener("change", (event) => { if (event.target.form === form) update(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".pager a");
    if (!link) return;
    const address = new URL(link.href);
    address.searchParams.delete("offer");
    chosen().forEach((value) => address.searchParams.append("offer", value));
    link.href = address;
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-keeps-choice]")) return;
    event.target.querySelectorAll('input[type="hidden"][name="offer"]').forEach((input) => input.remove());
    chosen().forEach((value) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name: "offer", value });
      event.target.append(input);
    });
  });
  update();
  // A page out of the browser's memory keeps its boxes, not what follows from them.
  window.addEventListener("pageshow", update);
})();
