// Keeps what is of now on the dashboard fresh, and says how old the rest is. The page is whole without it.

const REFRESH_MS = 5000;
const countries = new Intl.DisplayNames(["en"], { type: "region", fallback: "none" });
const spoken = document.getElementById("live-said");
let sampledAt;
const table = document.querySelector("[data-live]");

function nameCountry(place) {
  const code = place.dataset.country;
  const name = /^[A-Z]{2}$/.test(code) && countries.of(code);
  if (name) place.textContent = place.tagName === "OPTION" ? `${name} (${code})` : name;
}

function ageInWords(when) {
  const minutes = Math.floor((Date.now() - when) / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} hours ago` : `${Math.floor(minutes / 1440)} days ago`;
}

function tellAges() {
  for (const time of document.querySelectorAll("[data-age]")) {
    time.dataset.said ??= time.textContent;
    time.textContent = `${time.dataset.said} (${ageInWords(new Date(time.dateTime))})`;
  }
}

function cell(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (kind === "th") made.scope = "row";
  return made;
}

function liveRow(group) {
  const row = document.createElement("tr");
  const country = cell("td", group.country_code ?? "unknown");
  if (group.country_code) country.dataset.country = group.country_code;
  const count = cell("td", group.live_user_count.toLocaleString("en"));
  count.className = "number";
  const app = cell("th", group.app_name);
  app.className = "long";
  row.append(app, country, cell("td", group.user_type), count);
  if (group.country_code) nameCountry(country);
  return row;
}

function showLive(report) {
  const total = report.rows.reduce((sum, group) => sum + group.live_user_count, 0);
  const said = `${total.toLocaleString("en")} live users in ${report.total_row_count.toLocaleString("en")} groups`;
  table.tBodies[0].replaceChildren(...report.rows.map(liveRow));
  table.parentElement.hidden = !report.rows.length;
  const none = document.getElementById("live-none");
  none.hidden = report.rows.length > 0;
  none.textContent = "Nobody is live at the moment.";
  const more = document.getElementById("live-more");
  more.hidden = report.total_row_count <= report.rows.length;
  more.textContent = `The ${report.rows.length} largest of ${report.total_row_count.toLocaleString("en")}; the CSV has all.`;
  // only what changed is spoken: who listens is not told the same every five seconds
  if (spoken.textContent !== said) spoken.textContent = said;
}

function showStats(stats) {
  for (const [id, number] of [["active_users_now", stats.activeUsersNow], ["visitors_now", stats.visitorsNow]]) {
    document.getElementById(id).textContent = number?.toLocaleString("en") ?? "–";
  }
  // it is sampled more often than it is asked for here
  markStale(stats.asOf.live === sampledAt);
  sampledAt = stats.asOf.live;
  const shown = document.querySelector("[data-age]");
  const newest = stats.asOf.history && new Date(stats.asOf.history);
  const newer = document.getElementById("newer");
  // a microsecond is more than a browser's clock knows
  if (newest && newer) newer.hidden = newest - new Date(shown.dateTime) < 1;
  // the first refresh came
  if (newest && !newer) location.reload();
}

function markStale(isStale) {
  document.querySelectorAll(".now").forEach((mark) => mark.classList.toggle("stale", isStale));
}

function tellUnreachable(isUnreachable) {
  const place = document.getElementById("unreachable");
  if (place.hidden === !isUnreachable) return;
  place.textContent = isUnreachable ? "footfall does not answer: what is shown is no longer of now. Trying again." : "";
  place.hidden = !isUnreachable;
}

async function ask(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  // the session is over: the page itself leads to the form, and back
  if (response.status === 401) location.reload();
  return response.ok ? response.json() : null;
}

async function refresh() {
  if (document.hidden) return;
  try {
    const [stats, live] = await Promise.all([ask("/api/stats"), ask(table.dataset.live)]);
    if (stats) showStats(stats);
    if (live) showLive(live);
    tellUnreachable(false);
  } catch {
    markStale(true);
    tellUnreachable(true);
  }
  tellAges();
}

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, REFRESH_MS);
}

function sortCountries(list) {
  const [all, ...named] = list.options;
  const chosen = list.value;
  list.replaceChildren(all, ...named.sort((one, other) => one.text.localeCompare(other.text, "en")));
  list.value = chosen;
}

document.querySelectorAll("[data-country]").forEach(nameCountry);
document.querySelectorAll("#country").forEach(sortCountries);
tellAges();
setTimeout(keepFresh, REFRESH_MS);
document.addEventListener("visibilitychange", refresh);
