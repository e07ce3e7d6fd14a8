# needs: node
exec 2>&1
# Each step starts when the one before has ended: nothing is printed in the order of two events.
cat > c.js <<'END'
const cp = require('child_process');
function killed() {
  const k = cp.spawn('sleep', ['30']);
  k.on('close', (code, signal) => { console.log(code, signal); piped(); });
  k.kill('SIGTERM');
}
function piped() {
  const p = cp.spawn('cat');
  let o = '';
  p.stdout.on('data', d => o += d);
  p.on('close', code => { console.log(o.length, code); forked(); });
  p.stdin.end('y'.repeat(500000));
}
function forked() {
  const p = cp.fork('./w.js');
  p.on('message', m => { console.log(m); p.disconnect(); });
  p.on('close', code => { console.log('forked', code); missing(); });
  p.send({n: 20});
}
function missing() { cp.exec('nonexistent-program', e => { console.log(e.code); execFile(); }); }
function execFile() {
  cp.execFile('sh', ['-c', 'echo out; exit 3'], (e, out) => { console.log(e.code, out.trim()); });
}
console.log(cp.execSync('seq 3 | sort -r').toString(), cp.spawnSync('sh', ['-c', 'exit 6']).status);
process.once('SIGUSR2', () => { console.log('usr2'); killed(); });
process.kill(process.pid, 'SIGUSR2');
// A handler alone does not keep the process alive.
const alive = setInterval(() => {}, 1000);
process.once('SIGUSR2', () => clearInterval(alive));
END
echo "process.on('message', m => process.send({r: m.n * 2}))" > w.js
node c.js; echo $?
node -e 'process.exit(5)'; echo $?
node -e 'process.abort()' > /dev/null 2>&1; echo $?
echo 'console.log(1+1)' | node -
