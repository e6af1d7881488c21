/**
 * What can go wrong with a call, and what the person in front of it can do.
 *
 * Every failure has a stable `code`, a `message` that says what happened, and
 * mostly a `hint` that says what to do. Refusals by the relay or the upstream
 * keep the server's own code and words.
 */

/** @type {Record<string, [message: string, hint?: string]>} */
const WORDS = {
  aborted: ["The call was stopped before it was connected."],
  ended: ["The other side ended the call."],
  not_connected: ["There is no connected call.", "Start a call first."],
  webrtc_missing: [
    "This browser cannot make voice calls: it has no WebRTC.",
    "Use a current version of Chrome, Edge, Firefox or Safari.",
  ],
  insecure_context: [
    "The browser gives no microphone to this page, because it is not secure.",
    "Open it over https, or as http://localhost.",
  ],
  microphone_denied: [
    "The microphone is not allowed for this page.",
    "Allow it in the browser’s site settings (the icon beside the address), then start again.",
  ],
  microphone_missing: ["No microphone was found.", "Connect one, then start again."],
  microphone_busy: [
    "The microphone cannot be opened.",
    "Close other programs that use it, or choose another one, then start again.",
  ],
  microphone_lost: ["The microphone stopped.", "Check that it is connected, then end the call and start again."],
  audio_blocked: [
    "The browser does not let this page play sound.",
    "Allow sound for this site, then end the call and start again.",
  ],
  token_failed: ["The page got no key for the call.", "Reload the page and start again."],
  relay_unreachable: [
    "The voice service does not answer.",
    "Check the network connection and that the service is running, then start again.",
  ],
  consent_required: [
    "Calls to this agent are recorded, and only with your consent.",
    "Start again and agree to the recording.",
  ],
  recording_failed: ["The call is not recorded.", "The call itself goes on."],
  relay_refused: ["The voice service refused the call.", "Wait a moment, then start again."],
  answer_invalid: [
    "The voice service sent an answer that the browser cannot use.",
    "Check that the address of the service is right; its log says more.",
  ],
  connection_failed: [
    "No audio connection could be made.",
    "A firewall may block it. Try another network, or ask for UDP (or a TURN server) to be allowed.",
  ],
  connection_lost: ["The connection was lost.", "Check the network connection, then start again."],
};

/** What to do about a refusal, by HTTP status. @type {Record<number, string>} */
const STATUS_HINTS = {
  401: "The permission for this call has run out or is not valid. Reload the page and start again.",
  403: "This page or user may not make this call. Ask the owner of the service.",
  404: "Check the address of the service and the name of the agent.",
  429: "There are too many calls now. Wait a moment, then start again.",
};

export class CallError extends Error {
  /**
   * @param {string} code
   * @param {{message?: string, hint?: string, status?: number, cause?: unknown}} [details]
   */
  constructor(code, details = {}) {
    const [message, hint] = Object.hasOwn(WORDS, code) ? WORDS[code] : [code];
    super(details.message || message, { cause: details.cause });
    this.name = "CallError";
    /** Stable; for a refusal, the server's own code where it gave one. */
    this.code = code;
    /** What the person can do. @type {string | undefined} */
    this.hint = details.hint ?? hint;
    /** The HTTP status of a refusal. @type {number | undefined} */
    this.status = details.status;
  }
}

/**
 * The names are those of the Media Capture specification's getUserMedia algorithm.
 * @type {Record<string, string>}
 */
const MICROPHONE_CODES = {
  NotAllowedError: "microphone_denied",
  SecurityError: "microphone_denied",
  NotFoundError: "microphone_missing",
  OverconstrainedError: "microphone_missing",
  NotReadableError: "microphone_busy",
  AbortError: "microphone_busy",
};

/**
 * @param {unknown} cause what getUserMedia, or the host's own source, threw
 * @returns {CallError}
 */
export function microphoneError(cause) {
  if (cause instanceof CallError) return cause;
  const code = MICROPHONE_CODES[/** @type {any} */ (cause)?.name];
  if (!code) return new CallError("microphone_busy", { message: String(cause), cause });
  // A frame without allow="microphone" is refused without any question to the user.
  const framed = code === "microphone_denied" && globalThis.top !== globalThis.self;
  const hint = framed ? `${WORDS[code][1]} A frame also needs allow="microphone".` : undefined;
  return new CallError(code, { cause, hint });
}

/**
 * fetch tells a script neither why it failed nor whether CORS was the reason,
 * so the hint names both possibilities when the relay is on another origin.
 * @param {URL} url
 * @param {unknown} cause
 * @returns {CallError}
 */
export function unreachableError(url, cause) {
  const page = globalThis.location?.origin;
  const message = `The voice service at ${url.origin} does not answer.`;
  if (!page || page === url.origin) return new CallError("relay_unreachable", { message, cause });
  const hint = `Check that it is running and that it allows this site: OFFHOOK_ORIGINS there must contain ${page}.`;
  return new CallError("relay_unreachable", { message, hint, cause });
}

/**
 * @param {Response} response one that is not ok
 * @returns {Promise<CallError>}
 */
export async function refusalError(response) {
  /** @type {any} */
  const body = await response.json().catch(() => undefined);
  const code = body?.error?.code || "relay_refused";
  // The server tells the page's author what to do, not the caller.
  if (code === "consent_required") return new CallError(code, { status: response.status });
  return new CallError(code, {
    message: body?.error?.message || `The voice service refused the call (HTTP ${response.status}).`,
    // What the service says of its own or the upstream's failure says what to do, too.
    hint: STATUS_HINTS[response.status] ?? (body?.error?.message ? undefined : WORDS.relay_refused[1]),
    status: response.status,
  });
}
