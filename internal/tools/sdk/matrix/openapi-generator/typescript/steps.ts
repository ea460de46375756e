// What the programs with TypeScript clients share: their environment, and the lines that ../../main.go reads.

import { deepStrictEqual } from "node:assert/strict";

export const variable = (name: string): string => {
  const value = process.env[`INVITED_TEST_${name}`];
  if (!value) throw new Error(`INVITED_TEST_${name} is not set`);
  return value;
};

export const unknownUUID = "00000000-0000-4000-8000-000000000000";

export const step = async (name: string, run: () => Promise<void>): Promise<void> => {
  try {
    await run();
    console.log(`step ${name} ok`);
  } catch (error) {
    console.log(`step ${name} failed: ${String(error).replace(/\s+/g, " ")}`);
  }
};

export const same: (got: unknown, wanted: unknown) => void = deepStrictEqual;

/** Fails where the filter of a list had no effect. */
export const onlyCanceled = (rows: { uuid?: string }[]): void => {
  same(rows.map((row) => row.uuid), [variable("CANCELED")]);
};

/** Returns what a promise is rejected with. */
export const rejected = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the request was not refused");
};
