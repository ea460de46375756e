// What play.ts uses of newman, which comes without types.
declare module 'newman' {
  export interface Response {
    code: number;
    headers: { toObject(): Record<string, string> };
    text(): string;
  }
  interface Summary {
    run: { executions: { response?: Response; requestError?: Error }[] };
  }
  function run(options: object, done: (error: Error | null, summary: Summary) => void): void;
  export default { run };
}
