/**
 * Waits for what is to come on the page of one call: its recording, while that is made,
 * and what is said, while the call goes on.
 */
const POLL = 2000;

const player = element("#player");
setTimeout(look, POLL);

async function look() {
  const response = await fetch(player.dataset.page ?? "").catch(() => undefined);
  if (response && !response.ok) return; // deleted, or signed out
  if (response) show(await response.json());
  setTimeout(look, POLL);
}

/** @param {{ ended: number | null, recording: { state: string, progress: number } | null, entries: object[] }} call */
function show({ ended, recording, entries }) {
  const state = recording?.state ?? "none";
  const progress = /** @type {HTMLProgressElement | null} */ (document.querySelector("#progress"));
  if (state === "mastering" && progress) progress.value = recording?.progress ?? 0;
  const news = entries.length - Number(player.dataset.lines);
  // Nobody is taken away from what they read: they ask for what is new.
  if (state !== player.dataset.state) tell(state === "ready" ? "The recording is ready." : "The recording has moved on.");
  else if (ended !== null && player.dataset.live === "true") tell("The call has ended.");
  else if (news > 0) tell(news === 1 ? "One more line." : `${news} more lines.`);
}

/** @param {string} what */
function tell(what) {
  const more = element("#more");
  if (more.dataset.told === what) return;
  more.dataset.told = what;
  const link = document.createElement("a");
  link.href = "";
  link.textContent = "Load the page again";
  more.replaceChildren(`${what} `, link);
}

/** @param {string} selector */
function element(selector) {
  return /** @type {HTMLElement} */ (document.querySelector(selector));
}
