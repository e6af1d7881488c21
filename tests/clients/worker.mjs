// A Cloudflare Worker that calls: what it is asked for comes in a request, and goes back
// in the response. See workerd.capnp.
import { CloudflareRealtimeTransportLayer } from "@openai/agents-extensions";
import * as sdk from "@openai/agents-realtime";
import { pcmOf, play } from "./scenarios.mjs";

export default {
  async fetch(request) {
    const { scenario, url, apiKey, voice, long } = await request.json();
    const sounds = Object.entries(voice).map(([name, base64]) => [name, pcmOf(base64)]);
    const result = await play(scenario, {
      sdk,
      transport: new CloudflareRealtimeTransportLayer({ url }),
      apiKey,
      voice: { long, ...Object.fromEntries(sounds) },
    });
    return Response.json(result);
  },
};
