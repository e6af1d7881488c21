/**
 * The words of the element. A host replaces any of them through the `texts`
 * property; a key `error.<code>` replaces the message of that error, and
 * `hint.<code>` what to do about it.
 */
export const TEXTS = {
  label: "Voice call",
  user: "You",
  assistant: "Agent",
  start: "Start call",
  cancel: "Cancel",
  stop: "End call",
  mute: "Mute",
  interrupt: "Interrupt",
  message: "Message",
  placeholder: "Type a message",
  send: "Send",
  captions: "Conversation",
  empty: "What is said appears here.",
  interrupted: "interrupted",
  unheard: "(spoken, without a transcript)",
  speaking: "speaking",
  muted: "muted",
  idle: "Ready",
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Call ended",
  failed: "Not connected",
};

/** @typedef {typeof TEXTS & {[key: `error.${string}` | `hint.${string}`]: string | undefined}} Texts */
