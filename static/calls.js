/**
 * The operator's pages: times as this place has them. Without it they are in UTC.
 */
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

for (const time of document.querySelectorAll("time")) {
  time.title = time.textContent;
  time.textContent = local.format(new Date(time.dateTime));
}

// Dates are asked for as this place has them, too.
const filters = document.querySelector(".filters");
if (filters) {
  const zone = document.createElement("input");
  zone.type = "hidden";
  zone.name = "zone";
  zone.value = String(-new Date().getTimezoneOffset());
  filters.append(zone);
}
