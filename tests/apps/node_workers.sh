# needs: node
exec 2>&1
cat > w.js <<'END'
const {Worker, isMainThread, parentPort, workerData, MessageChannel} = require('worker_threads');
if (isMainThread) {
  const shared = new SharedArrayBuffer(8), v = new Int32Array(shared); let done = 0; const res = [];
  for (let i = 0; i < 4; i++) { const w = new Worker(__filename, {workerData: {i, shared}}); w.on('message', m => res.push(m)); w.on('exit', () => { if (++done === 4) console.log(res.sort((a, b) => a - b), v[0]); }); }
} else { const v = new Int32Array(workerData.shared); for (let i = 0; i < 1000; i++) Atomics.add(v, 0, 1); let s = 0; for (let i = 0; i < 1e6; i++) s += i % 7; parentPort.postMessage(workerData.i * 100 + s % 10); Atomics.wait(v, 1, 0, 20); }
END
node w.js; node -e 'new Promise(r => setTimeout(r, 50)).then(() => console.log("async"))'; node --input-type=module -e 'import {readFile} from "fs/promises"; console.log((await readFile("w.js")).length)'; node -p 'WebAssembly.validate(new Uint8Array([0,97,115,109,1,0,0,0]))'
