import { Api, InvitationState, type HttpResponse } from './client';
import { given, play, type Client } from './steps';

// refused returns the body of an error, which the client throws with the type that the contract has for the operation.
async function refused<E>(status: number, answer: Promise<HttpResponse<unknown, E>>): Promise<E> {
  try {
    await answer;
  } catch (thrown) {
    const response = thrown as HttpResponse<unknown, E>; // nothing thrown has a type
    if (response.status === status) return response.error;
    throw thrown;
  }
  throw new Error(`the request worked, and ${status} was expected`);
}

function as(url: string, token: string): Client {
  const { api } = new Api({ baseUrl: url, baseApiParams: { headers: { Authorization: `Token ${token}` } } });
  const invite = (email: string) => api.userInvitationsCreate({ email, role: given('ROLE'), scope: given('SCOPE') });
  const query = { state: [InvitationState.InvitationStateCanceled, InvitationState.InvitationStateExpired] };
  return {
    list: async () => (await api.userInvitationsList(query)).data.map((each) => each.uuid),
    count: async () => (await api.userInvitationsCount(query)).headers.get('X-Result-Count'),
    create: async (email) => (await invite(email)).data,
    details: async (uuid) => (await api.userInvitationsDetailsRetrieve(uuid)).data.scope_name,
    accept: async (uuid) => (await api.userInvitationsAccept(uuid)).data.detail,
    // The type is a union of the bodies of all errors of the operation.
    async createRefused(email) {
      const error = await refused(400, invite(email));
      if (!('email' in error)) throw error;
      return error['email'];
    },
    async cancelRefused(uuid) {
      const error = await refused(400, api.userInvitationsCancel(uuid));
      if (!Array.isArray(error)) throw error;
      return error;
    },
    async editRefused(uuid) {
      const error = await refused(400, api.userInvitationsPartialUpdate(uuid, { email: 'other@university.example' }));
      if (!Array.isArray(error)) throw error;
      return error;
    },
    detailsNotFound: async (uuid) => (await refused(404, api.userInvitationsDetailsRetrieve(uuid))).detail,
  };
}

await play(as);
