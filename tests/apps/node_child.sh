# needs: node
exec 2>&1
cat > c.js <<'END'
const cp = require('child_process');
console.log(cp.execSync('seq 3 | sort -r').toString(), cp.spawnSync('sh', ['-c', 'exit 6']).status);
const k = cp.spawn('sleep', ['30']); k.on('exit', (c, s) => { console.log(c, s); next(); }); k.kill('SIGTERM');
function next() { const p = cp.spawn('cat'); let o = ''; p.stdout.on('data', d => o += d); p.on('close', c => { console.log(o.length, c); f(); }); p.stdin.end('y'.repeat(500000)); }
function f() { const p = cp.fork(__filename.replace('c.js', 'w.js')); p.on('message', m => { console.log(m); p.disconnect(); }); p.send({n: 20}); p.on('exit', c => { console.log('forked', c); cp.exec('nonexistent-program', e => console.log(e.code)); }); }
process.on('SIGUSR2', () => console.log('usr2')); process.kill(process.pid, 'SIGUSR2');
END
echo "process.on('message', m => process.send({r: m.n * 2}))" > w.js
node c.js; node -e 'process.exit(5)'; echo $?; node -e 'process.abort()' > /dev/null 2>&1; echo $?; echo 'console.log(1+1)' | node -
