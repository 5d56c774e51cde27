// Sends a form that changes something once, however often its button is pressed: a second key made by a double click
// would be one that nobody has seen.

const WAIT_MS = 5000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if ("sent" in form.dataset) event.preventDefault();
  form.dataset.sent = "";
  // who stopped the browser may send it again
  setTimeout(() => delete form.dataset.sent, WAIT_MS);
});
