// Runs before the first paint, so that a dark device never sees a light flash. The server has already set what the
// reader chose; this only follows the device where nothing was chosen.
(() => {
  const root = document.documentElement;
  if (root.hasAttribute("data-theme-chosen")) return;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    if (!root.hasAttribute("data-theme-chosen")) root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  };
  follow();
  dark.addEventListener("change", () => {
    follow();
    document.dispatchEvent(new CustomEvent("themechange"));
  });
})();
