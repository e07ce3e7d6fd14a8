# needs: node
exec 2>&1
cat > t.js <<'END'
const fs = require('fs'), path = require('path'), os = require('os'), crypto = require('crypto'), zlib = require('zlib');
fs.mkdirSync('a/b', {recursive: true}); fs.writeFileSync('a/b/f', 'x'.repeat(100000)); console.log(fs.statSync('a/b/f').size, fs.readdirSync('a'));
fs.symlinkSync('b/f', 'a/l'); console.log(fs.readlinkSync('a/l'), fs.lstatSync('a/l').isSymbolicLink()); fs.renameSync('a/b/f', 'a/b/g'); fs.appendFileSync('a/b/g', 'end'); console.log(fs.readFileSync('a/b/g').length);
try { fs.readFileSync('none') } catch (e) { console.log(e.code) }
console.log(crypto.createHash('sha256').update('abc').digest('hex'), zlib.gunzipSync(zlib.gzipSync('hello')).toString());
(async () => {
  await fs.promises.writeFile('p', 'promise'); console.log(await fs.promises.readFile('p', 'utf8'));
  await Promise.all([...Array(50).keys()].map(i => fs.promises.writeFile('f' + i, '' + i))); console.log(fs.readdirSync('.').filter(f => /^f\d/.test(f)).length);
  const s = fs.createReadStream('a/b/g'); let n = 0; for await (const c of s) n += c.length; console.log(n);
  await fs.promises.rm('a', {recursive: true}); console.log(fs.existsSync('a'));
  const w = fs.watch('.', (e, f) => { if (f === 'watched') { console.log('event', f); w.close(); } }); setTimeout(() => fs.writeFileSync('watched', '1'), 50);
  await new Promise(r => setTimeout(r, 400)); setTimeout(() => console.log('timer'), 300); setImmediate(() => console.log('immediate')); process.nextTick(() => console.log('tick'));
  const net = require('net'); const srv = net.createServer(c => c.pipe(c)).listen('n.sock', () => { const c = net.connect('n.sock', () => c.end('echo')); c.on('data', d => console.log('' + d)); c.on('close', () => srv.close()); });
})();
END
node t.js
