import createClient from 'openapi-fetch';

import type { paths } from './client';
import { given, must, play, type Client } from './steps';

function as(url: string, token: string): Client {
  const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Token ${token}` } });
  const invite = (email: string) =>
    api.POST('/api/user-invitations/', { body: { email, role: given('ROLE'), scope: given('SCOPE') } });
  const details = (uuid: string) => api.GET('/api/user-invitations/{uuid}/details/', { params: { path: { uuid } } });
  const query = { state: ['canceled', 'expired'] } satisfies paths['/api/user-invitations/']['get']['parameters']['query'];
  return {
    async list() {
      const { data, error } = await api.GET('/api/user-invitations/', { params: { query } });
      return must(data, error).map((each) => each.uuid);
    },
    async count() {
      const { response } = await api.HEAD('/api/user-invitations/', { params: { query } });
      return response.headers.get('X-Result-Count');
    },
    async create(email) {
      const { data, error } = await invite(email);
      return must(data, error);
    },
    async details(uuid) {
      const { data, error } = await details(uuid);
      return must(data, error).scope_name;
    },
    async accept(uuid) {
      const { data, error } = await api.POST('/api/user-invitations/{uuid}/accept/', { params: { path: { uuid } } });
      return must(data, error).detail;
    },
    // error is a union of the bodies of all errors of the operation.
    async createRefused(email) {
      const { error, response } = await invite(email);
      if (!error || response.status !== 400 || !('email' in error)) throw error;
      return error['email'];
    },
    async cancelRefused(uuid) {
      const { error } = await api.POST('/api/user-invitations/{uuid}/cancel/', { params: { path: { uuid } } });
      if (!Array.isArray(error)) throw error;
      return error;
    },
    async editRefused(uuid) {
      const { error } = await api.PATCH('/api/user-invitations/{uuid}/', {
        params: { path: { uuid } },
        body: { email: 'other@university.example' },
      });
      if (!Array.isArray(error)) throw error;
      return error;
    },
    async detailsNotFound(uuid) {
      const { error, response } = await details(uuid);
      if (!error || response.status !== 404) throw error;
      return error.detail;
    },
  };
}

await play(as);
