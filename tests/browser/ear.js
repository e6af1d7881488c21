// Runs in the page before anything else: records what the page sends and what it hears,
// both on one clock, without changing either. Read back as `window.ear`.
(() => {
  const ear = { sent: [], heard: [], rate: 0, events: [] };
  Object.defineProperty(window, "ear", { value: ear });
  const Original = window.RTCPeerConnection;
  const now = (context) => context.currentTime;

  const record = (context, stream, into, begin) => {
    const source = context.createMediaStreamSource(stream);
    const tap = context.createScriptProcessor(1024, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => {
      begin.at ??= now(context);
      into.push(Float32Array.from(inputBuffer.getChannelData(0)));
    };
    source.connect(tap).connect(context.destination);
    ear.keep = [...(ear.keep ?? []), source, tap];
  };

  window.RTCPeerConnection = class extends Original {
    constructor(...options) {
      super(...options);
      ear.peer = this;
      ear.context ??= new AudioContext({ sampleRate: 24000 });
      ear.rate = ear.context.sampleRate;
      ear.sentBegin ??= {};
      ear.heardBegin ??= {};
      this.addEventListener("track", ({ streams, track }) => {
        const stream = streams[0] ?? new MediaStream([track]);
        record(ear.context, stream, ear.heard, ear.heardBegin);
      });
    }

    addTrack(track, ...streams) {
      record(ear.context, new MediaStream([track]), ear.sent, ear.sentBegin);
      return super.addTrack(track, ...streams);
    }

    createDataChannel(...options) {
      const channel = super.createDataChannel(...options);
      channel.addEventListener("message", ({ data }) => ear.events.push(data));
      return channel;
    }
  };

  ear.pcm = (chunks) => {
    const samples = chunks.flatMap((chunk) => Array.from(chunk, (x) => Math.round(Math.max(-1, Math.min(1, x)) * 32767)));
    const bytes = new Uint8Array(Int16Array.from(samples).buffer);
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  };
})();
