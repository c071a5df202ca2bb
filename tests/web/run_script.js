// Runs code with a page's script around it: node run_script.js PAGE.JS CODE < JSON, whose value is `given`.
// The code is the body of an async function; what it returns is printed as JSON.
const fs = require("fs");
const vm = require("vm");

const [page, code] = process.argv.slice(2);
vm.runInThisContext(fs.readFileSync(page, "utf8"), { filename: page });
const body = vm.runInThisContext(`(async (given) => { ${code} })`);
body(JSON.parse(fs.readFileSync(0, "utf8"))).then((result) => process.stdout.write(JSON.stringify(result)));
