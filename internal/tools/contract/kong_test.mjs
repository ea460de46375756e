// Checks that Kong's converter makes of the contract one route for each operation, and no other for its requests.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

const [tools, path] = process.argv.slice(2);
const { generate } = createRequire(resolve(tools, 'package.json'))('openapi-2-kong');
const contract = JSON.parse(await readFile(path, 'utf8'));

const { documents, error } = await generate(path, 'kong-declarative-config', []);
assert.equal(error, undefined);
assert.equal(documents.length, 1);
assert.equal(documents[0].services.length, 1, 'one server is one service');
const { routes, host, port, protocol } = documents[0].services[0];
assert.equal(`${protocol}://${host}:${port}`, contract.servers[0].url);

let found = 0;
for (const [template, item] of Object.entries(contract.paths)) {
  for (const method of ['get', 'head', 'post', 'put', 'patch', 'delete']) {
    if (!item[method]) continue;
    const parameters = [...(item.parameters ?? []), ...(item[method].parameters ?? [])];
    const request = template.replace(/\{(\w+)\}/g, (_, name) => parameters.find((each) => each.name === name).example);
    const matching = routes.filter(
      (each) => each.methods.includes(method.toUpperCase()) && each.paths.some((pattern) => new RegExp(`^${pattern}`).test(request)),
    );
    const own = matching.filter((each) => each.name.endsWith(item[method].operationId));
    assert.deepEqual(own.map((each) => each.strip_path), [false], `${method} ${request}: ${JSON.stringify(matching)}`);
    // A path without a parameter can match a route with one too. Both lead to the same path of the server.
    assert.ok(matching.length === 1 || !template.includes('{'), `${method} ${request}: ${JSON.stringify(matching)}`);
    found++;
  }
}
assert.equal(routes.length, found);
console.log(`Kong has a route for ${found} of ${found} operations`);
