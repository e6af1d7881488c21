# Cloudflare's runtime with one worker, which may talk to this machine and to no other.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "caller", worker = .caller),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "caller")],
);

const caller :Workerd.Worker = (
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "program.mjs", esModule = embed "program.mjs"),
    (name = "worker.py", text = embed "worker.py"),
    (name = "offhook.zip", data = embed "offhook.zip"),
    (name = "pyodide.mjs", esModule = embed "pyodide.mjs"),
    (name = "pyodide.asm.mjs", esModule = embed "pyodide.asm.mjs"),
    (name = "pyodide.asm.wasm", wasm = embed "pyodide.asm.wasm"),
    (name = "pyodide-lock.json", json = embed "pyodide-lock.json"),
    (name = "python_stdlib.zip", data = embed "python_stdlib.zip"),
  ],
  bindings = [(name = "unsafe", unsafeEval = void)],
  compatibilityDate = "2026-11-01",
  # Or Pyodide takes it for Node.
  compatibilityFlags = ["no_nodejs_compat"],
);
