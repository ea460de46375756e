import { createApi, fetchBaseQuery, type BaseQueryFn, type FetchArgs, type FetchBaseQueryError, type FetchBaseQueryMeta } from '@reduxjs/toolkit/query';

// The server and the caller are those of the store's extra argument.
export interface Session {
  url: string;
  token: string;
}

const baseQuery: BaseQueryFn<string | FetchArgs, unknown, FetchBaseQueryError, object, FetchBaseQueryMeta> = (args, api, options) => {
  const { url, token } = api.extra as Session;
  return fetchBaseQuery({ baseUrl: url, headers: { Authorization: `Token ${token}` } })(args, api, options);
};

export const emptyApi = createApi({ baseQuery, endpoints: () => ({}) });
