// An identity provider for the tests: npm's oidc-provider, whose access tokens are JWTs. It is told what to do by lines of JSON on
// its standard input and answers each with one line; the first line is its configuration: {port, tls, people}. It ends when
// standard input does.
//
// A person is a client of the grant client_credentials: {"alice": {"groups": [...], "email": ..., ...}}, all of which are claims.
// The resource that is asked for says what kind of token it shall be: https://any/?alg=ES384&ttl=60&aud=one&aud=two

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createInterface } from 'node:readline';

import { Provider } from 'oidc-provider';

const KINDS = {
  // an RSA key without "alg" is good for all algorithms of its kind
  RSA: [undefined, () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ES256: ['ES256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ES384: ['ES384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  EdDSA: ['EdDSA', () => generateKeyPairSync('ed25519')],
};
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'];

let issuer, people, keys, handle;
const counts = { jwks: 0, discovery: 0, token: 0 };

// the library has things to say, too
console.log = console.info = console.error;

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function makeKeys(kinds) {
  return kinds.map((kind) => {
    const [alg, make] = KINDS[kind];
    return { ...make().privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg };
  });
}

function wish(resource) {
  return new URL(resource).searchParams;
}

// Keys are fixed in a Provider: with other keys it is another one in the same place.
function install() {
  const provider = new Provider(issuer, {
    clients: Object.keys(people).map((name) => ({
      client_id: name, client_secret: `secret-of-${name}`, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    })),
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: '',
          audience: 'spark-gateway',
          accessTokenFormat: 'jwt',
          accessTokenTTL: Number(wish(resource).get('ttl') ?? 600),
          jwt: { sign: { alg: wish(resource).get('alg') ?? 'RS256' } },
        }),
      },
    },
    formats: {
      customizers: {
        jwt(ctx, token, jwt) {
          const asked = wish(token.resourceServer.identifier()).getAll('aud');
          Object.assign(jwt.payload, { sub: token.clientId, ...people[token.clientId] });
          if (asked.length) jwt.payload.aud = asked.length === 1 ? asked[0] : asked;
        },
      },
    },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  handle = provider.callback();
}

function serve(request, response) {
  const path = request.url.split('?')[0];
  if (path === '/jwks') counts.jwks += 1;
  if (path === '/.well-known/openid-configuration') counts.discovery += 1;
  if (path === '/token') counts.token += 1;
  handle(request, response);
}

const COMMANDS = {
  // new keys, the first of which signs from now on; the old ones stay
  rotate({ kinds = Object.keys(KINDS) }) {
    keys = [...makeKeys(kinds), ...keys];
    install();
    return { keys: keys.map((key) => key.kid) };
  },
  // of each kind only the newest
  drop() {
    const kind = (key) => `${key.kty} ${key.crv}`;
    keys = keys.filter((key, at) => keys.findIndex((other) => kind(other) === kind(key)) === at);
    install();
    return { keys: keys.map((key) => key.kid) };
  },
  // claims of one person
  change({ name, claims }) {
    people[name] = claims;
    install();
    return {};
  },
  counts: () => counts,
};

function start(conf) {
  const { port, tls } = conf;
  issuer = `${tls ? 'https' : 'http'}://${tls ? 'localhost' : '127.0.0.1'}:${port}`;
  people = conf.people;
  keys = makeKeys(conf.kinds ?? Object.keys(KINDS));
  install();
  const server = tls
    ? https.createServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, serve)
    : http.createServer(serve);
  server.listen(port, '127.0.0.1', () => answer({ issuer }));
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const command = JSON.parse(line);
  if (!issuer) start(command);
  else answer(COMMANDS[command.do](command));
});
lines.on('close', () => process.exit(0));
