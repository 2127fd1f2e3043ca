import { type Command, debianPackages, findCommand } from '../../scripts/debian-packages.ts'

/** For `test(name, { skip: needs('nginx') }, …)`: the reason to skip, or false when the command is there. */
export function needs(command: Command): string | false {
  if (findCommand(command) !== null) return false
  const name = debianPackages.find(entry => entry.command === command)?.package ?? command
  return `${command} is not installed (apt-get install ${name})`
}
