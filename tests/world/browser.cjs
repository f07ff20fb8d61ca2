// The official client for browsers, in Node.js: node browser.cjs DIRECTORY OPTIONS
//
// OPTIONS is JSON: controlURL, authKey, hostname, and `fetch`, a URL to get through the tailnet once it runs.
// Writes one JSON object per line: {"state": ...}, {"peers": [...]}, {"fetched": ...}, {"failed": ...}.

const fs = require("node:fs");
const path = require("node:path");

const [directory, given] = process.argv.slice(2);
const options = JSON.parse(given);
const say = (what) => fs.writeSync(1, JSON.stringify(what) + "\n");

// Go's HTTP would leave fetch alone if it found itself in Node.
delete globalThis.process;
// No file system, as in a browser: the client waits inside our calls, where Node's would never answer.
require(path.join(directory, "wasm_exec.js"));

async function reach(ipn) {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      const answer = await ipn.fetch(options.fetch);
      say({ fetched: await answer.text() });
      return;
    } catch (error) {
      say({ failed: String(error) });
      await new Promise((wake) => setTimeout(wake, 1000));
    }
  }
}

async function main() {
  const go = new Go();
  go.env = { TS_NO_LOGS_NO_SUPPORT: "true" };
  const module = await WebAssembly.instantiate(fs.readFileSync(path.join(directory, "main.wasm")), go.importObject);
  go.run(module.instance);
  while (!globalThis.newIPN) {
    await new Promise((wake) => setTimeout(wake, 50));
  }
  const ipn = globalThis.newIPN(options);
  let isReaching = false;
  ipn.run({
    notifyState(state) {
      say({ state });
      if (state === "NeedsLogin") {
        ipn.login();
      }
      if (state === "Running" && options.fetch && !isReaching) {
        isReaching = true;
        reach(ipn);
      }
    },
    notifyNetMap(text) {
      say({ peers: (JSON.parse(text).peers || []).map((peer) => peer.name) });
    },
    notifyBrowseToURL(url) {
      say({ login: url });
    },
    notifyPanicRecover(error) {
      say({ failed: error });
    },
  });
}

main();
