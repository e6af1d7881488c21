// Reads server events, one a line, and writes those that OpenAI's SDK cannot make use
// of: its parser hands them on unread, or what acts on them throws. Neither the parser
// nor the base of its transports is exported, hence the paths.
import { createInterface } from "node:readline";
import { OpenAIRealtimeBase } from "../browser/node_modules/@openai/agents-realtime/dist/openaiRealtimeBase.mjs";
import { parseRealtimeEvent } from "../browser/node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs";

class Reader extends OpenAIRealtimeBase {
  sendEvent() {}
}

const reader = new Reader();
const turns = [];
reader.on("error", () => {});
reader.on("turn_done", (turn) => turns.push(turn));

for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line);
  const { isGeneric } = parseRealtimeEvent({ data: line });
  try {
    reader._onMessage({ data: line });
    // A response that it cannot read is only logged, and then no turn ever ends.
    const ended = event.type !== "response.done" || turns.pop() !== undefined;
    if (isGeneric || !ended) console.log(line);
  } catch (error) {
    console.log(JSON.stringify({ ...event, thrown: String(error) }));
  }
}
