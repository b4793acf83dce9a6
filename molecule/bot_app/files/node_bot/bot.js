// Counts in a file of the release that outlives it, and writes to HOME, as npm and its like do.
const fs = require("fs");
const path = require("path");

const state = path.join(__dirname, "..", "state");
fs.writeFileSync(path.join(process.env.HOME, "cache.json"), JSON.stringify(process.argv.slice(2)));
setInterval(() => {
  const count = Number(fs.readFileSync(path.join(state, "count"), "utf8")) + 1;
  // In one step: whoever reads it, a test or this bot after a kill, never finds it empty.
  fs.writeFileSync(path.join(state, "count.new"), String(count));
  fs.renameSync(path.join(state, "count.new"), path.join(state, "count"));
  fs.writeFileSync(path.join(state, "beat"), "");
}, 500);
