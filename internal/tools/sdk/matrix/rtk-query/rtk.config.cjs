module.exports = {
  schemaFile: 'openapi.yaml',
  apiFile: './empty-api.ts',
  apiImport: 'emptyApi',
  outputFile: './client.ts',
  exportName: 'api',
};
