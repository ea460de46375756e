export default {
  invited: {
    input: 'openapi.yaml',
    // baseUrl is an expression in the generated client: without it, requests go to the page's own host.
    output: { target: 'client.ts', client: 'fetch', baseUrl: { runtime: 'baseUrl()', imports: [{ name: 'baseUrl', importPath: './base-url' }] } },
  },
};
