// A certified provider of sign-in (oidc-provider) at a port of its own; its first line says where. Whoever gives a login is that person.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [client_id, client_secret, redirect, left] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id, client_secret, redirect_uris: [redirect], post_logout_redirect_uris: [left], response_types: ["code"], grant_types: ["authorization_code"] }],
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["preferred_username"] },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id, preferred_username: id }) }),
    cookies: { keys: ["kept nowhere"] },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
