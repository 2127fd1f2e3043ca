/**
 * The config file: from YAML or JSON text to resources, or to every problem in it with line and column. Nothing of a
 * faulty configuration is used.
 */

import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { z } from 'zod'
import { assert } from '../base/assert.ts'
import { epochMsOf, systemClock } from '../base/clock.ts'
import type { Resources } from '../model/resources.ts'
import { buildResources } from './config/build.ts'
import { Certificates } from './config/certificates.ts'
import { checkDrafts } from './config/checks.ts'
import { draftSource, type Report } from './config/draft.ts'
import { PemTexts, type ReadPem, readPemFile } from './config/pem.ts'
import { readErrorText } from './config/read-error.ts'
import { type CertificateOutput, ConfigFile, type ConfigOutput } from './config/schema.ts'
import { type ConfigProblem, formatLabel, Place, readSource, type Source } from './config/source.ts'
import { TrustStores } from './config/trust-stores.ts'

export type { ConfigProblem }

export type Config = {
  readonly resources: Resources
  readonly lab: LabKnobs
  /** What is allowed but surely not meant. */
  readonly warnings: readonly ConfigProblem[]
}

/** What only tests may do; announced at start. */
export type LabKnobs = {
  /** Health check intervals may go down to this; null when they may not go below the service's 5. */
  readonly healthCheckIntervalSecondsMin: number | null
  /** How many times as fast time passes; 1 is real time. */
  readonly timeScale: number
}

export type ConfigOptions = {
  /** Added to listener ports below 1024 to give the port that is bound. Not negative. */
  readonly portOffset?: number
  /** Reads a file of PEM, given its absolute path and the most that it may have. */
  readonly readPem?: ReadPem
  /** Milliseconds since the epoch; what certificates are valid at. */
  readonly nowMs?: number
  /** HTTPS listeners may come without certificates, and get one of this machine's own before they are published. */
  readonly usesLocalCertificate?: boolean
  /** Says which addresses there are by default. */
  readonly platform?: NodeJS.Platform
}

export type ConfigResult = (
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }
) & {
  /** PEM files that the texts name, found or not, by their absolute paths: they belong to the configuration. */
  readonly files: readonly string[]
}

export type ConfigText = {
  readonly name: string
  readonly text: string
  /** Where relative paths in it start from: the working directory unless given. */
  readonly folder?: string
}

/** Loads files as one configuration. @param files paths; `-` is standard input */
export async function loadConfig(files: readonly string[], options: ConfigOptions = {}): Promise<ConfigResult> {
  const texts: ConfigText[] = []
  const problems: ConfigProblem[] = []
  for (const file of files) {
    const name = file === '-' ? '<stdin>' : file
    try {
      if (file === '-') texts.push({ name, text: await readAll(process.stdin) })
      else texts.push({ name, text: await readFile(file, 'utf8'), folder: dirname(file) })
    } catch (error) {
      problems.push(problemOutsideText(name, `cannot be read: ${readErrorText(error)}`))
    }
  }
  return problems.length > 0 ? { ok: false, problems, files: [] } : parseConfig(texts, options)
}

export function problemOutsideText(file: string, message: string): ConfigProblem {
  return { file, line: 0, column: 0, path: '', message, sourceLine: null }
}

/**
 * As `loadConfig`, from texts at hand. Lists of several texts are joined; a setting stands in one of them. The files of
 * PEM that they name are read; they are small, and no traffic waits for this thread.
 */
export function parseConfig(
  texts: readonly ConfigText[],
  {
    portOffset = 0,
    readPem = readPemFile,
    nowMs = epochMsOf(systemClock),
    usesLocalCertificate = false,
    platform = process.platform,
  }: ConfigOptions = {},
): ConfigResult {
  assert(Number.isInteger(portOffset) && portOffset >= 0, 'the port offset is a whole number, not negative')
  const sources = texts.map(({ name, text, folder = '.' }) => readSource(name, text, folder))
  const pems = new PemTexts(readPem)
  const certificates = new Certificates(pems, nowMs, usesLocalCertificate)
  const trustStores = new TrustStores(pems, nowMs)
  const drafted = sources.map(source => ({ source, ...draftSource(source) }))
  const problems = drafted.flatMap(each => each.problems)
  const warnings: ConfigProblem[] = []
  const files = drafted.flatMap(({ source, draft }) => (draft ? [{ place: new Place(source), value: draft }] : []))
  // With a file missing, names that it would have defined would all seem unknown.
  if (files.length === sources.length) {
    const machine = { portOffset, platform }
    checkDrafts(files, machine, { certificates, trustStores }, reportTo(problems), reportTo(warnings))
  }
  if (problems.length > 0) return { ok: false, problems: inOrder(problems, sources), files: pems.files }

  const checked = drafted.flatMap(({ source: { folder }, output }) =>
    output === null
      ? []
      : {
          output,
          findCertificate: (from: CertificateOutput) => certificates.get(folder, from),
          findTrustStore: (name: string) => trustStores.get(name),
        },
  )
  const lab: ConfigOutput['lab'] = Object.assign({}, ...checked.map(({ output }) => output.lab))
  return {
    ok: true,
    config: {
      resources: buildResources(checked, portOffset),
      lab: {
        healthCheckIntervalSecondsMin: lab.healthCheckIntervalSecondsMin ?? null,
        timeScale: lab.timeScale ?? 1,
      },
      warnings: inOrder(warnings, sources),
    },
    files: pems.files,
  }
}

function reportTo(list: ConfigProblem[]): Report {
  return (place, predicate) => {
    list.push(place.problem(`${formatLabel(place.path)} ${predicate}`))
  }
}

/** As a reader meets them. */
function inOrder(problems: readonly ConfigProblem[], sources: readonly Source[]): ConfigProblem[] {
  const fileOrder = new Map(sources.map((source, at) => [source.name, at]))
  const order = ({ file }: ConfigProblem) => fileOrder.get(file) ?? 0
  return problems.toSorted(
    (one, other) => order(one) - order(other) || one.line - other.line || one.column - other.column,
  )
}

/** `file:line:column: message`, on one line. */
export function formatProblem({ file, line, column, message }: ConfigProblem): string {
  return line === 0 ? `${file}: ${message}` : `${file}:${line}:${column}: ${message}`
}

/** For editors, as `schema/openalb.schema.json`. Rules over several values are not in it. */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(ConfigFile, { io: 'input' })
  return { $schema, title: 'OpenALB configuration', ...rest }
}
