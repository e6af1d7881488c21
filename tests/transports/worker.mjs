// A Cloudflare Worker with Pyodide in it. What it is asked for comes in a request, is done
// by worker.py, and goes back in the response. See worker.capnp.
//
// Cloudflare's Python Workers are the same two, in the same releases, but their Pyodide
// workerd would download. That from npm runs there, too, once it is given its own files.
import createPyodideModule from "./pyodide.asm.mjs";
import wasm from "./pyodide.asm.wasm";
import lockFileContents from "./pyodide-lock.json";
import { loadPyodide } from "./pyodide.mjs";
import stdlib from "./python_stdlib.zip";
import offhook from "./offhook.zip";
import { program } from "./program.mjs";
import source from "./worker.py";

const HOME = "http://pyodide/";

/** Loads Pyodide and worker.py, and nothing else from anywhere. */
async function load(unsafe) {
  const { fetch } = globalThis;
  globalThis.location = HOME;
  globalThis.setImmediate = (callback) => setTimeout(callback, 0);
  globalThis.clearImmediate = clearTimeout;
  // For small modules that Pyodide makes as it goes, which workers may not compile.
  WebAssembly.Module = new Proxy(WebAssembly.Module, {
    construct: (_, [bytes]) => unsafe.newWasmModule(bytes),
  });
  WebAssembly.instantiateStreaming = async (_, imports) => ({
    module: wasm,
    instance: await WebAssembly.instantiate(wasm, imports),
  });
  globalThis.fetch = async (url) =>
    new Response(String(url).endsWith("python_stdlib.zip") ? stdlib : null);
  try {
    const pyodide = await loadPyodide({ indexURL: HOME, createPyodideModule, lockFileContents });
    return program(pyodide, offhook, source);
  } finally {
    globalThis.fetch = fetch;
  }
}

let loading;

export default {
  async fetch(request, { unsafe }) {
    try {
      const play = await (loading ??= load(unsafe));
      return new Response(await play(await request.text()));
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};
