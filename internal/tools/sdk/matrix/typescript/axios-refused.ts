import { isAxiosError } from 'axios';

// refused returns the body of an error. axios clients have no types of errors: the caller names the contract's one.
export async function refused<T>(status: number, answer: Promise<unknown>): Promise<T> {
  try {
    await answer;
  } catch (error) {
    if (isAxiosError<T>(error) && error.response?.status === status) return error.response.data;
    throw error;
  }
  throw new Error(`the request worked, and ${status} was expected`);
}
