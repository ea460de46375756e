// The host of the generated client's requests.

let current = '';

export function setBaseUrl(url: string): void {
  current = url;
}

export function baseUrl(): string {
  return current;
}
