import { OffhookCall } from "./offhook-call.js";

OffhookCall.define();
