export default {
  input: 'openapi.yaml',
  output: { path: 'src', module: { extension: '.js' } },
  parser: {
    // One type for each schema. Told apart by direction, what a caller writes would be an InvitationRequestWritable.
    transforms: { readWrite: false },
    // `auth` is the whole header, scheme and all. The client takes what the contract offers as a choice for things to
    // do one after the other, and would write Bearer before it.
    patch: { input: (contract) => { contract.security = contract.security.filter((each) => !each.bearerAuth); } },
  },
  plugins: [
    '@hey-api/typescript',
    '@hey-api/sdk',
    // The caller says where the server is, with client.setConfig: the contract knows only that of `make run`.
    { name: '@hey-api/client-fetch', baseUrl: false, includeInEntry: true },
  ],
};
