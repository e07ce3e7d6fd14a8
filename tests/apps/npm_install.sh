# needs: npm node
# timeout: 120
exec 2>&1
export HOME="$PWD" npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false
mkdir -p pkg/lib app; echo '{"name":"pkg","version":"1.2.3","main":"lib/i.js","bin":{"hi":"lib/hi.js"},"scripts":{"postinstall":"node -e \"require(\\\"fs\\\").writeFileSync(\\\"done\\\",\\\"1\\\")\""}}' > pkg/package.json; echo 'module.exports = n => n * 2' > pkg/lib/i.js; printf '#!/usr/bin/env node\nconsole.log("hi", require("./i.js")(21))\n' > pkg/lib/hi.js
(cd pkg && npm pack --silent); echo '{"name":"app","version":"1.0.0","private":true,"scripts":{"test":"hi && node -p \"require('"'pkg'"')(4)\""}}' > app/package.json
cd app; npm install --offline --no-save ../pkg/pkg-1.2.3.tgz 2>&1 | sed 's/ in [0-9]*m*s$//'; ls node_modules node_modules/.bin; test -e node_modules/pkg/done && echo scripts; npm test --silent; npm ls --offline 2>&1 | sed 's,/[^ ]*/,,' | head -3
