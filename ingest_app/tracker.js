// footfall's tracker: docs/tracker.md
try {
const {src, dataset: data} = document.currentScript, api = self.footfall ||= {}
const off = 'respectDnt' in data && (navigator.doNotTrack == 1 || navigator.globalPrivacyControl)
const prefix = `ff:${data.app}:`, busy = new Set()
let disk = {}, timer, wait = 1e3
try { disk = localStorage || disk } catch {}

// no error reaches the page
const safe = f => (...args) => new Promise(done => done(f(...args))).catch(() => {})
const uuid = () => 'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replace(/x/g, () =>
  crypto.getRandomValues(new Uint8Array(1))[0].toString(16).at(-1))
const session_id = disk['ff:session'] || uuid()
const who = () => ({session_id, app_name: data.app, user_type: data.userType || 'guest', user_id: +data.userId || null})

// a key each: tabs overwrite nothing
const queue = () => Object.keys(disk).filter(key => key.startsWith(prefix) && !busy.has(key)).sort()
const later = () => timer ||= setTimeout(flush, wait * (.5 + Math.random()))
const add = safe((kind, fields) => {
  if (off) return
  const event_id = uuid(), created_at = new Date().toISOString(), key = `${prefix}${created_at} ${kind} ${event_id}`
  const text = JSON.stringify({...who(), ...fields, event_id, created_at})
  // blocked or full: memory
  try { disk[key] = text } catch { disk = {[key]: text} }
  queue().slice(0, -100).forEach(key => delete disk[key])
  later()
})

// text needs no preflight; 64 KiB may outlive the page
const post = safe((kind, body, leaving, url = new URL(`api/${kind}?key=${data.key}`, src)) =>
  leaving ? navigator.sendBeacon(url, body) : fetch(url, {method: 'POST', body, keepalive: body.length < 2e4}))
const flush = safe(leaving => {
  timer = clearTimeout(timer)
  const kinds = {}, end = `,"sent_at":"${new Date().toISOString()}"}`
  for (const key of queue().slice(0, 20)) busy.add(key), (kinds[key.split(' ').at(-2)] ||= []).push(key)
  for (const [kind, keys] of Object.entries(kinds))
    post(kind, `[${keys.map(key => disk[key].slice(0, -1) + end)}]`, leaving).then(safe(reply => {
      // beacons tell nothing: sent again
      const done = /202|4(?!29)../.test(reply?.status)
      keys.forEach(key => busy.delete(key) && done && delete disk[key])
      wait = done ? 1e3 : Math.min(wait * 2, 6e5)
      queue()[0] && later()
    }))
})
// live: 5 minutes
const beat = (user = who()) =>
  document.hidden || !user.user_id || user.user_type == 'guest' || post('sessions/heartbeat', JSON.stringify(user))

api.event = (event_name, meta, event_type = 'button') => add('events', {event_name, event_type, meta})
api.document = (level_name, chapter_name, document_name) => add('documents', {level_name, chapter_name, document_name})
api.q?.forEach(([name, ...args]) => api[name](...args))
if (!off) {
  add('track-visit')
  flush()
  beat()
  setInterval(beat, 6e4)
  addEventListener('online', () => flush())
  addEventListener('visibilitychange', () => flush(document.hidden))
  disk['ff:session'] = session_id
}
} catch {}
