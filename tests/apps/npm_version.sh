# needs: npm node
# timeout: 180
exec 2>&1
npm --version; mkdir p && cd p && npm init -y > /dev/null && node -p 'require("./package.json").name'; mkdir ../dep; printf '{"name":"dep","version":"1.2.3","main":"i.js"}' > ../dep/package.json; echo 'module.exports = 42' > ../dep/i.js; npm install --offline --no-audit --no-fund ../dep > /dev/null; echo $?; node -p 'require("dep")'
