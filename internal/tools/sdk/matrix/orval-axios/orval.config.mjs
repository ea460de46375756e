export default {
  invited: { input: 'openapi.yaml', output: { target: 'client.ts', client: 'axios' } },
};
