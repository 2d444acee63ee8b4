/** How to log in by each auth method: which fields, and which path. One table for `login` and `auth help`. Pure. */

export interface LoginField {
  name: string
  about: string
  /** Asked for without showing it where it is missing. */
  secret?: true
  /** Log-in cannot work without it. */
  required?: true
}

export interface LoginMethod {
  about: string
  fields: readonly LoginField[]
  /** The user name is part of the path; all else is sent in the body. */
  userInPath?: true
}

const user: LoginField = {
  name: 'username',
  about: 'User name. The default is that of this machine (LOGNAME, USER).',
  required: true,
}
const password: LoginField = { name: 'password', about: 'Password.', secret: true, required: true }

/** `token` is not among them: it is no log-in but a look at the token. */
export const loginMethods: Readonly<Record<string, LoginMethod>> = {
  approle: {
    about: 'For machines: a role ID, and a secret ID unless the role needs none.',
    fields: [
      { name: 'role_id', about: 'ID of the role.', required: true },
      { name: 'secret_id', about: 'Secret ID of the role.', secret: true },
    ],
  },
  userpass: {
    about: 'For people: users and passwords that the server keeps itself.',
    fields: [user, password],
    userInPath: true,
  },
  ldap: { about: 'For people: users and passwords of an LDAP server.', fields: [user, password], userInPath: true },
  okta: { about: 'For people: users and passwords of Okta.', fields: [user, password], userInPath: true },
  radius: { about: 'For people: users and passwords of a RADIUS server.', fields: [user, password], userInPath: true },
  github: {
    about: 'For people: a personal access token of GitHub.',
    fields: [{ name: 'token', about: 'The access token.', secret: true, required: true }],
  },
  jwt: {
    about: 'For machines: a signed JWT.',
    fields: [
      { name: 'role', about: 'Role to log in to.' },
      { name: 'jwt', about: 'The JWT.', secret: true, required: true },
    ],
  },
  kubernetes: {
    about: 'For pods: the JWT of a service account.',
    fields: [
      { name: 'role', about: 'Role to log in to.', required: true },
      { name: 'jwt', about: 'The JWT of the service account.', secret: true, required: true },
    ],
  },
  cert: {
    about: 'For machines: the client certificate given with -client-cert and -client-key.',
    fields: [{ name: 'name', about: 'Role to log in to.' }],
  },
}
