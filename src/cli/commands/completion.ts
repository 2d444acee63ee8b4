/** `completion`: what a shell needs to ask this program for what could come next, printed or put where the shell finds it. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { command } from '#cli/command.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK, UsageError } from '#cli/failure.ts'

const PROGRAM = 'strongroom'

/** The program itself puts a space behind what is whole. */
const scripts: Record<string, string> = {
  bash: `complete -o nospace -C ${PROGRAM} ${PROGRAM}`,
  zsh: `autoload -U +X bashcompinit && bashcompinit && complete -o nospace -C ${PROGRAM} ${PROGRAM}`,
  fish: `complete -c ${PROGRAM} -f -a '(env COMP_LINE=(commandline -cp) ${PROGRAM} ${PROGRAM} (commandline -ct) | string trim -r)'`,
}

/** What a shell reads at its start, below the home directory. */
const files: Record<string, string> = { bash: '.bashrc', zsh: '.zshrc', fish: '.config/fish/config.fish' }

export const completion = command({
  usage: '[options] SHELL|install|uninstall',
  details: `Prints the line that makes a shell (bash, zsh or fish) complete commands, flags and paths; the shell then asks this program. Paths come from the server, as far as the token at hand may list them.

With "install" that line is added to the start-up files of the shells that are used here (.bashrc, .zshrc, .config/fish/config.fish), where it is not there yet; "uninstall" removes it. The same as -autocomplete-install and -autocomplete-uninstall.`,
  examples: [
    { about: 'For this shell only:', words: 'eval "$(strongroom completion bash)"' },
    { about: 'For every shell from now on:', words: 'strongroom completion install' },
  ],
  flags: {},
  output: 'none',
  offline: true,
  arguments: { min: 1, max: 1 },
  async run({ arguments: [word], output }) {
    const script = scripts[word!]
    if (script !== undefined) output.line(script)
    else if (word === 'install' || word === 'uninstall') await change(word, (text) => output.line(text))
    else throw new UsageError(`"${word}" is none of ${[...Object.keys(scripts), 'install', 'uninstall'].join(', ')}`)
    return EXIT_OK
  },
})

async function change(what: 'install' | 'uninstall', tell: (text: string) => void): Promise<void> {
  let found = 0
  for (const [shell, name] of Object.entries(files)) {
    const file = join(homedir(), name)
    if (!(await isFile(file))) continue
    found += 1
    const line = scripts[shell]!
    const text = await readFile(file, 'utf8')
    const lines = text.split('\n')
    const there = lines.includes(line)
    if (there === (what === 'install')) tell(`${file}: ${there ? 'it is there already' : 'it is not there'}`)
    else {
      // Added at the end, so that a file without a last line break gets one first.
      const after = there
        ? lines.filter((each) => each !== line).join('\n')
        : `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${line}\n`
      await writeFile(file, after)
      tell(`${file}: ${there ? 'removed' : 'added; open a new shell to use it'}`)
    }
  }
  if (found === 0) {
    const names = Object.values(files).map((name) => `~/${name}`)
    throw new CommandFailure(`none of ${names.join(', ')} is there: "completion SHELL" prints the line`, EXIT_LOCAL)
  }
}

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() ?? false
}
