// worker.py, in a Pyodide of any runtime.

/** Makes Pyodide ready to play scenarios, from the package as a zip file and worker.py. */
export function program(pyodide, offhook, source) {
  pyodide.unpackArchive(offhook, "zip");
  pyodide.FS.writeFile("worker.py", source);
  const inside = pyodide._module;
  inside.enable_pyproxy_allocation_tracing();
  // What JavaScript keeps of Python, and the other way round.
  globalThis.held = () => [inside.pyproxy_alloc_map.size, inside._hiwire_num_refs()];
  return pyodide.pyimport("worker").play;
}
