import { configureStore } from '@reduxjs/toolkit';

import { api as generated, type Detail, type FieldErrors, type RuleErrors } from './client';
import { given, must, play, type Client } from './steps';

// A result has no headers: the one that is needed becomes the result.
const api = generated.enhanceEndpoints({
  endpoints: {
    userInvitationsCount: {
      transformResponse: (_: unknown, meta: { response?: Response } | undefined) => meta?.response?.headers.get('X-Result-Count'),
    },
  },
});

// refused returns the body of an error. The client has no types of errors: the caller names the contract's one.
function refused<T>(status: number, answer: { error?: unknown }): T {
  const error = answer.error as { status: unknown; data: T } | undefined;
  if (error?.status !== status) throw answer;
  return error.data;
}

function as(url: string, token: string): Client {
  const store = configureStore({
    reducer: { [api.reducerPath]: api.reducer },
    middleware: (defaults) => defaults({ thunk: { extraArgument: { url, token } } }).concat(api.middleware),
  });
  const { userInvitationsList, userInvitationsCount, userInvitationsCreate, userInvitationsDetailsRetrieve } = api.endpoints;
  const { userInvitationsAccept, userInvitationsCancel, userInvitationsPartialUpdate } = api.endpoints;
  const invite = (email: string) =>
    store.dispatch(userInvitationsCreate.initiate({ invitationRequest: { email, role: given('ROLE'), scope: given('SCOPE') } }));
  const details = (uuid: string) => store.dispatch(userInvitationsDetailsRetrieve.initiate({ uuid }, { subscribe: false }));
  return {
    async list() {
      const answer = await store.dispatch(userInvitationsList.initiate({ state: ['canceled', 'expired'] }, { subscribe: false }));
      return must(answer.data, answer.error).map((each) => each.uuid);
    },
    async count() {
      const answer = await store.dispatch(userInvitationsCount.initiate({ state: ['canceled', 'expired'] }));
      return String(must(answer.data, answer.error));
    },
    async create(email) {
      const answer = await invite(email);
      return must(answer.data, answer.error);
    },
    async details(uuid) {
      const answer = await details(uuid);
      return must(answer.data, answer.error).scope_name;
    },
    async accept(uuid) {
      const answer = await store.dispatch(userInvitationsAccept.initiate({ uuid }));
      return must(answer.data, answer.error).detail;
    },
    createRefused: async (email) => refused<FieldErrors>(400, await invite(email))['email'],
    cancelRefused: async (uuid) => refused<RuleErrors>(400, await store.dispatch(userInvitationsCancel.initiate({ uuid }))),
    async editRefused(uuid) {
      const body = { email: 'other@university.example' };
      const edit = userInvitationsPartialUpdate.initiate({ uuid, patchedInvitationUpdateRequest: body });
      return refused<RuleErrors>(400, await store.dispatch(edit));
    },
    detailsNotFound: async (uuid) => refused<Detail>(404, await details(uuid)).detail,
  };
}

await play(as);
