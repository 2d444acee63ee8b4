/**
 * Every command and what it does in one line. The code of a command is loaded when it is run or explained, since a
 * command line is started a thousand times for once that a server is.
 */
import type { Command } from './command.ts'

export interface Leaf {
  about: string
  /** Among the first in the list of commands. */
  common?: true
  load: () => Promise<Command>
}

export interface Group {
  about: string
  common?: true
  commands: Readonly<Record<string, Entry>>
}

export type Entry = Leaf | Group

export function isGroup(entry: Entry): entry is Group {
  return 'commands' in entry
}

export const root: Group = {
  about: 'Secrets management that speaks the Vault HTTP API.',
  commands: {
    read: {
      common: true,
      about: 'Read data and retrieve secrets.',
      load: async () => (await import('./commands/read.ts')).read,
    },
    write: {
      common: true,
      about: 'Write data, configuration and secrets.',
      load: async () => (await import('./commands/write.ts')).write,
    },
    delete: {
      common: true,
      about: 'Delete secrets and configuration.',
      load: async () => (await import('./commands/delete.ts')).remove,
    },
    list: { common: true, about: 'List data or secrets.', load: async () => (await import('./commands/list.ts')).list },
    login: {
      common: true,
      about: 'Log in and keep the token for the commands that follow.',
      load: async () => (await import('./commands/login.ts')).login,
    },
    status: {
      common: true,
      about: 'Print whether the server is sealed, and how it is doing.',
      load: async () => (await import('./commands/status.ts')).status,
    },
    unwrap: {
      common: true,
      about: 'Unwrap a wrapped secret.',
      load: async () => (await import('./commands/unwrap.ts')).unwrap,
    },
    audit: {
      about: 'Turn audit devices on and off.',
      commands: {
        disable: {
          about: 'Turn an audit device off.',
          load: async () => (await import('./commands/audit.ts')).disable,
        },
        enable: { about: 'Turn an audit device on.', load: async () => (await import('./commands/audit.ts')).enable },
        list: { about: 'List audit devices.', load: async () => (await import('./commands/audit.ts')).list },
      },
    },
    auth: {
      about: 'Turn auth methods on and off, and adjust them.',
      commands: {
        disable: {
          about: 'Turn an auth method off.',
          load: async () => (await import('./commands/mounts.ts')).disableAuth,
        },
        enable: {
          about: 'Turn an auth method on.',
          load: async () => (await import('./commands/mount-enable.ts')).enableAuth,
        },
        help: {
          about: 'Tell how to log in by an auth method.',
          load: async () => (await import('./commands/auth-help.ts')).help,
        },
        list: { about: 'List auth methods.', load: async () => (await import('./commands/mounts.ts')).listAuth },
        move: {
          about: 'Move an auth method to another path.',
          load: async () => (await import('./commands/mount-move.ts')).moveAuth,
        },
        tune: {
          about: 'Adjust the settings of an auth method.',
          load: async () => (await import('./commands/mount-enable.ts')).tuneAuth,
        },
      },
    },
    completion: {
      about: 'Complete commands, flags and paths in a shell.',
      load: async () => (await import('./commands/completion.ts')).completion,
    },
    debug: {
      about: 'Gather what somebody who helps needs to see of a server.',
      load: async () => (await import('./commands/debug.ts')).debug,
    },
    kv: {
      about: 'Work with key/value secrets, of version 1 and 2.',
      commands: {
        delete: {
          about: 'Delete versions of a secret; they can be undeleted.',
          load: async () => (await import('./commands/kv-versions.ts')).remove,
        },
        destroy: {
          about: 'Remove the data of versions for good.',
          load: async () => (await import('./commands/kv-versions.ts')).destroy,
        },
        'enable-versioning': {
          about: 'Turn a mount of version 1 into one of version 2.',
          load: async () => (await import('./commands/kv-versions.ts')).enableVersioning,
        },
        expiring: {
          about: 'List the secrets that expire soon.',
          load: async () => (await import('./commands/kv-find.ts')).expiring,
        },
        get: { about: 'Read a secret.', load: async () => (await import('./commands/kv-get.ts')).get },
        list: { about: 'List secrets below a path.', load: async () => (await import('./commands/kv-list.ts')).list },
        metadata: {
          about: 'Work with what is known about a secret besides its data.',
          commands: {
            delete: {
              about: 'Delete a secret with all its versions and metadata.',
              load: async () => (await import('./commands/kv-metadata.ts')).remove,
            },
            get: {
              about: 'Read the metadata of a secret.',
              load: async () => (await import('./commands/kv-metadata.ts')).get,
            },
            patch: {
              about: 'Change some of the metadata of a secret.',
              load: async () => (await import('./commands/kv-metadata.ts')).patch,
            },
            put: {
              about: 'Set the metadata of a secret.',
              load: async () => (await import('./commands/kv-metadata.ts')).put,
            },
          },
        },
        patch: {
          about: 'Change some fields of a secret.',
          load: async () => (await import('./commands/kv-patch.ts')).patch,
        },
        put: {
          about: 'Write a secret: a new version of all its fields.',
          load: async () => (await import('./commands/kv-put.ts')).put,
        },
        rollback: {
          about: 'Write an earlier version again as the newest.',
          load: async () => (await import('./commands/kv-rollback.ts')).rollback,
        },
        search: {
          about: 'Find secrets by words in their names and metadata.',
          load: async () => (await import('./commands/kv-find.ts')).search,
        },
        undelete: {
          about: 'Bring deleted versions back.',
          load: async () => (await import('./commands/kv-versions.ts')).undelete,
        },
        undo: {
          about: 'Take back the last change of a secret.',
          load: async () => (await import('./commands/kv-undo.ts')).undo,
        },
      },
    },
    lease: {
      about: 'Work with leases.',
      commands: {
        lookup: { about: 'Tell about a lease.', load: async () => (await import('./commands/lease.ts')).lookup },
        renew: { about: 'Extend a lease.', load: async () => (await import('./commands/lease.ts')).renew },
        revoke: {
          about: 'End leases, and with them the secrets they stand for.',
          load: async () => (await import('./commands/lease.ts')).revoke,
        },
      },
    },
    monitor: {
      about: 'Follow the log of a server.',
      load: async () => (await import('./commands/monitor.ts')).monitor,
    },
    operator: {
      about: 'Make, seal and unseal a server.',
      commands: {
        backup: {
          about: 'Copy the store and the ledger, while the server runs.',
          load: async () => (await import('./commands/operator-local.ts')).backup,
        },
        diagnose: {
          about: 'Look at the configuration of a server and at all it needs, without running it.',
          load: async () => (await import('./commands/operator-local.ts')).diagnose,
        },
        'generate-root': {
          about: 'Make a root token with the consent of those who hold the keys.',
          load: async () => (await import('./commands/operator-generate-root.ts')).generateRoot,
        },
        init: {
          about: 'Initialize a server: make its keys and its first token.',
          load: async () => (await import('./commands/operator-init.ts')).init,
        },
        'key-status': {
          about: 'Tell about the key that encrypts the store.',
          load: async () => (await import('./commands/operator.ts')).keyStatus,
        },
        restore: {
          about: 'Put a backup where there is no store.',
          load: async () => (await import('./commands/operator-local.ts')).restore,
        },
        members: {
          about: 'List the servers that share the store.',
          load: async () => (await import('./commands/operator.ts')).members,
        },
        rekey: {
          about: 'Replace the keys that unseal a server by new ones.',
          load: async () => (await import('./commands/operator-rekey.ts')).rekey,
        },
        rotate: {
          about: 'Make a new key for all that is written from now on.',
          load: async () => (await import('./commands/operator.ts')).rotate,
        },
        'rotate-keys': {
          about: 'The same as rekey, for servers that ask for a token first.',
          load: async () => (await import('./commands/operator-rekey.ts')).rotateKeys,
        },
        seal: {
          about: 'Seal a server: it forgets its keys and stops serving.',
          load: async () => (await import('./commands/operator.ts')).seal,
        },
        unseal: {
          about: 'Give a sealed server one of the keys it needs.',
          load: async () => (await import('./commands/operator.ts')).unseal,
        },
      },
    },
    patch: {
      about: 'Change some fields of data, configuration and secrets.',
      load: async () => (await import('./commands/write.ts')).patch,
    },
    'path-help': {
      about: 'Print what the server knows about a path.',
      load: async () => (await import('./commands/path-help.ts')).pathHelp,
    },
    plugin: {
      about: 'Work with the kinds of engines that a server knows.',
      commands: {
        deregister: {
          about: 'Remove a plugin that was registered.',
          load: async () => (await import('./commands/plugin.ts')).deregister,
        },
        info: { about: 'Tell about a plugin.', load: async () => (await import('./commands/plugin.ts')).info },
        list: { about: 'List plugins.', load: async () => (await import('./commands/plugin.ts')).list },
        register: { about: 'Register a plugin.', load: async () => (await import('./commands/plugin.ts')).register },
        reload: { about: 'Load engines anew.', load: async () => (await import('./commands/plugin.ts')).reload },
      },
    },
    policy: {
      about: 'Work with policies.',
      commands: {
        delete: { about: 'Delete a policy.', load: async () => (await import('./commands/policy.ts')).remove },
        fmt: {
          about: 'Bring the file of a policy into its usual form.',
          load: async () => (await import('./commands/policy-fmt.ts')).fmt,
        },
        list: { about: 'List policies.', load: async () => (await import('./commands/policy.ts')).list },
        read: { about: 'Print a policy.', load: async () => (await import('./commands/policy.ts')).read },
        write: { about: 'Upload a policy.', load: async () => (await import('./commands/policy.ts')).write },
      },
    },
    print: {
      about: 'Print what is set on this machine.',
      commands: {
        token: {
          about: 'Print the token that commands use.',
          load: async () => (await import('./commands/print-token.ts')).token,
        },
      },
    },
    secrets: {
      about: 'Turn secrets engines on and off, and adjust them.',
      commands: {
        disable: {
          about: 'Turn a secrets engine off and delete all it holds.',
          load: async () => (await import('./commands/mounts.ts')).disableSecrets,
        },
        enable: {
          about: 'Turn a secrets engine on.',
          load: async () => (await import('./commands/mount-enable.ts')).enableSecrets,
        },
        list: { about: 'List secrets engines.', load: async () => (await import('./commands/mounts.ts')).listSecrets },
        move: {
          about: 'Move a secrets engine to another path.',
          load: async () => (await import('./commands/mount-move.ts')).moveSecrets,
        },
        tune: {
          about: 'Adjust the settings of a secrets engine.',
          load: async () => (await import('./commands/mount-enable.ts')).tuneSecrets,
        },
      },
    },
    token: {
      about: 'Work with tokens.',
      commands: {
        capabilities: {
          about: 'Print what a token may do on a path.',
          load: async () => (await import('./commands/token.ts')).capabilities,
        },
        create: { about: 'Make a token.', load: async () => (await import('./commands/token-create.ts')).create },
        lookup: { about: 'Tell about a token.', load: async () => (await import('./commands/token.ts')).lookup },
        renew: { about: 'Extend the life of a token.', load: async () => (await import('./commands/token.ts')).renew },
        revoke: {
          about: 'End a token and its children.',
          load: async () => (await import('./commands/token.ts')).revoke,
        },
      },
    },
    version: {
      about: 'Print the version of this program.',
      load: async () => (await import('./commands/version.ts')).version,
    },
  },
}
