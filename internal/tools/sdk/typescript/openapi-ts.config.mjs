export default {
  input: 'openapi.yaml',
  output: { path: 'src', module: { extension: '.js' } },
  parser: {
    // One type for each schema. Told apart by direction, what a caller writes would be an InvitationRequestWritable.
    transforms: { readWrite: false },
  },
  plugins: [
    '@hey-api/typescript',
    '@hey-api/sdk',
    // The caller says where the server is, with client.setConfig: the contract knows only that of `make run`.
    { name: '@hey-api/client-fetch', baseUrl: false, includeInEntry: true },
  ],
};
