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
  consent: "May this call be recorded?",
  consentText:
    "Your voice, the agent’s voice and a transcript are kept. You can call without it, or agree now and take it back " +
    "during the call; what was recorded is then deleted.",
  agree: "Yes, record the call",
  decline: "Call without recording",
  consentRequired: "This call will be recorded",
  consentRequiredText:
    "Your voice, the agent’s voice and a transcript are kept. You can agree now and take it back during the call; " +
    "the call then ends, and what was recorded is deleted.",
  agreeRequired: "Agree and call",
  recording: "Recording",
  recordingStopped: "Recording stopped",
  recordingDeleted: "Recording deleted",
  withdraw: "Stop and delete the recording",
  withdrawRequired: "End the call and delete the recording",
};

/** @typedef {typeof TEXTS & {[key: `error.${string}` | `hint.${string}`]: string | undefined}} Texts */
