// Ask the search of a site, as its pages do: node search.js FOLDER QUERY…
// Prints the location of each result, a line for each query.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = process.argv[2];
const workers = path.join(folder, "assets/javascripts/workers");
const worker = path.join(workers, fs.readdirSync(workers)[0]);
const index = JSON.parse(fs.readFileSync(path.join(folder, "search.json")));
const answers = [];
const self = { postMessage: (message) => answers.push(message) };
vm.runInNewContext(fs.readFileSync(worker, "utf8"), { self, Intl, URL, setTimeout, performance });

async function ask(message) {
  answers.length = 0;
  self.onmessage({ data: message });
  for (let n = 0; !answers.length && n < 100; n++) await new Promise((done) => setTimeout(done, 50));
  return answers[0];
}

(async () => {
  await ask({ type: 0, data: index });
  for (const query of process.argv.slice(3)) {
    const { data } = await ask({ type: 2, data: { input: query, limit: 10 } });
    console.log(data.items.map(({ id }) => index.items[id].location).join(" "));
  }
})();
