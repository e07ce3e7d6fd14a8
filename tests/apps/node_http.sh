# needs: node
# timeout: 180
exec 2>&1
cat > a.js <<'END'
const http = require('http'), net = require('net'), dgram = require('dgram');
const server = http.createServer((q, s) => { let n = 0; q.on('data', d => n += d.length); q.on('end', () => s.end(JSON.stringify({ url: q.url, method: q.method, n }))); });
const get = (o, body) => new Promise((ok, bad) => { const r = http.request({ host: '127.0.0.1', ...o }, s => { let t = ''; s.on('data', d => t += d); s.on('end', () => ok([s.statusCode, t])); }); r.on('error', bad); r.end(body); });
(async () => {
  await new Promise(ok => server.listen(0, '127.0.0.1', ok)); const port = server.address().port;
  console.log(await get({ port, path: '/one' })); console.log(await get({ port, path: '/two', method: 'POST' }, Buffer.alloc(2000000)));
  console.log((await Promise.all([...Array(30).keys()].map(i => get({ port, path: '/' + i })))).length);
  await new Promise(ok => server.close(ok)); await get({ port, path: '/' }).catch(e => console.log(e.code));
  const echo = net.createServer({ allowHalfOpen: true }, c => c.pipe(c)); await new Promise(ok => echo.listen(0, '::1', ok));
  const c = net.connect(echo.address().port, '::1'); let got = 0; c.on('data', d => got += d.length); for (let i = 0; i < 50; i++) c.write(Buffer.alloc(65536)); c.end(); await new Promise(ok => c.on('end', ok)); console.log(got, c.remoteFamily); echo.close();
  const u = dgram.createSocket('udp4'); u.on('message', (m, r) => { console.log(m.toString(), r.address); u.close(); }); u.bind(0, '127.0.0.1', () => u.send('datagram', u.address().port, '127.0.0.1'));
})();
END
node a.js; echo $?
