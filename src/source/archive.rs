//! Zip archives as folders: each member is a file, named `archive.zip/member`.
//!
//! Nothing is ever unpacked to disk under a member's name; a member whose name leads out of the
//! archive is refused all the same, as it is of no honest origin. An archive in an archive is a
//! file of no known format.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::location::{BUFFER, Bytes, Local, Location};
use super::pattern::Found;
use super::sides;
use crate::error::{Error, Result};
use crate::store::remote;

/// A member of a zip archive.
#[derive(Debug)]
pub struct Member {
    /// The archive.
    pub archive: Arc<Local>,
    /// The member's name in it.
    pub name: String,
    /// Where its bytes begin in the archive.
    pub begin: u64,
    /// How many bytes it takes there.
    pub stored: u64,
    /// How many bytes it has when it is unpacked.
    pub size: u64,
    /// The number of the method that packed it.
    pub method: u16,
    /// CRC-32 of its unpacked bytes.
    crc: u32,
}

impl Member {
    /// Its unpacked bytes out of its packed ones.
    pub fn decode(&self, packed: Bytes) -> io::Result<Bytes> {
        let unpacked: Box<dyn Read + Send> = match self.method {
            0 => Box::new(packed),
            8 => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
            12 => Box::new(bzip2::bufread::BzDecoder::new(packed)),
            93 => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
            95 => Box::new(liblzma::bufread::XzDecoder::new(packed)),
            other => {
                let message = format!("zip method {other} is not read");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        };
        let hasher = crc32fast::Hasher::new();
        let checked = Checked { inner: unpacked, hasher, left: self.size, crc: self.crc };
        Ok(Box::new(BufReader::with_capacity(BUFFER, checked)))
    }
}

/// The methods that [`Member::decode`] knows, and their numbers.
const METHODS: &[(CompressionMethod, u16)] = &[
    (CompressionMethod::STORE, 0),
    (CompressionMethod::DEFLATE, 8),
    (CompressionMethod::BZIP2, 12),
    (CompressionMethod::ZSTD, 93),
    (CompressionMethod::XZ, 95),
];

/// A reader that fails at the end of a member that is not what the archive says.
struct Checked<R> {
    inner: R,
    hasher: crc32fast::Hasher,
    left: u64,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        if n as u64 > self.left {
            let message = "the member is longer than the archive says";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.left -= n as u64;
        if n == 0 && !buf.is_empty() {
            if self.left > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.hasher.clone().finalize() != self.crc {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum mismatch"));
            }
        }
        Ok(n)
    }
}

/// The files with every archive among them replaced by its members. A member has what the path of
/// its archive matched, and what its own name says of its side (`x.de-en.de`).
pub fn expand(files: Vec<Found>) -> Result<Vec<Found>> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        match is_zip(&file)? {
            true => all.extend(texts(members(&file)?)),
            false => all.push(file),
        }
    }
    Ok(all)
}

/// Where the file with a name in a table's `source_path` lies, if it still does.
pub fn locate(name: &str, root: &Path) -> Result<Option<Location>> {
    if remote::is_url(name) {
        return Ok(remote::find(name)?.map(|entry| Location::Remote(Arc::new(entry))));
    }
    for (end, _) in name.match_indices('/').chain([(name.len(), "")]) {
        let path = root.join(&name[..end]);
        if !path.is_file() {
            continue;
        }
        let location = Location::File(path);
        if end == name.len() {
            return Ok(Some(location));
        }
        let file = Found { location, name: name[..end].into(), ..Found::default() };
        let member = members(&file)?.into_iter().find(|member| member.name == name);
        return Ok(member.map(|member| member.location));
    }
    Ok(None)
}

/// The members of the archives that lie beside a file, or of the one that it is in, by name; what
/// cannot be read of them is left out.
pub fn beside(location: &Location) -> Result<Vec<(String, Location)>> {
    let archives: Vec<PathBuf> = match location {
        Location::Member(member) => vec![member.archive.path().into()],
        Location::File(path) => {
            let folder = path.parent().unwrap_or(Path::new("."));
            let folder = if folder == Path::new("") { Path::new(".") } else { folder };
            let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let zipped = |path: &PathBuf| path.extension().is_some_and(|e| e == "zip");
            let mut paths: Vec<PathBuf> = paths.filter(|p| zipped(p) && p.is_file()).collect();
            paths.sort();
            paths
        }
        Location::Remote(_) | Location::Stdin => Vec::new(),
    };
    let mut found = Vec::new();
    for path in archives {
        let file = Found { location: Location::File(path), ..Found::default() };
        if is_zip(&file)? {
            let sound = members(&file)?.into_iter().filter(|member| member.fault.is_none());
            found.extend(sound.map(|member| (member.name, member.location)));
        }
    }
    Ok(found)
}

fn is_zip(file: &Found) -> Result<bool> {
    let head = file.location.head(4)?;
    // An archive without members is its end record alone.
    Ok(matches!(head[..], [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6]))
}

/// The members that hold text: not what packers and OPUS add about it.
fn texts(members: Vec<Found>) -> Vec<Found> {
    const ABOUT: &[&str] = &["README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "INFO"];
    let stems: BTreeSet<String> = members.iter().filter_map(sides::pair_stem).collect();
    let about = |file: &Found| {
        let name = file.name.rsplit('/').next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
        let alignment = [".xml", ".ids", ".xml.gz"].iter().find_map(|e| file.name.strip_suffix(e));
        ABOUT.contains(&stem.as_str()) || alignment.is_some_and(|stem| stems.contains(stem))
    };
    members.into_iter().filter(|file| file.fault.is_some() || !about(file)).collect()
}

fn members(file: &Found) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    let local = Arc::new(file.location.local()?);
    let path = local.path();
    let reader = BufReader::new(File::open(path).map_err(|e| Error::io(path, e))?);
    let found = |name: String, location, fault| Found {
        name,
        location,
        fault,
        captures: file.captures.clone(),
        stems: Default::default(),
    };
    let mut archive = match ZipArchive::new(reader) {
        Ok(archive) => archive,
        Err(e) => {
            let fault = format!("the zip archive cannot be read: {e}");
            all.push(found(file.name.clone(), file.location.clone(), Some(fault)));
            return Ok(all);
        }
    };
    for i in 0..archive.len() {
        let member = match archive.by_index_raw(i) {
            Ok(member) => member,
            Err(e) => {
                let fault = format!("member {i} of the zip archive cannot be read: {e}");
                all.push(found(format!("{}/{i}", file.name), file.location.clone(), Some(fault)));
                continue;
            }
        };
        let name = match member.name() {
            Ok(name) => name.into_owned(),
            Err(_) => String::from_utf8_lossy(member.name_raw()).into_owned(),
        };
        if member.is_dir() || hidden(&name) {
            continue;
        }
        let method = METHODS.iter().find(|(known, _)| *known == member.compression());
        let fault = if leads_out(&name) {
            Some("the member's name leads out of the archive".to_string())
        } else if member.encrypted() {
            Some("the member is encrypted".into())
        } else if method.is_none() {
            Some(format!("packed by method {}, which is not read", member.compression()))
        } else {
            None
        };
        let location = Location::Member(Arc::new(Member {
            archive: local.clone(),
            begin: member.data_start().unwrap_or_default(),
            stored: member.compressed_size(),
            size: member.size(),
            method: method.map_or(u16::MAX, |(_, number)| *number),
            crc: member.crc32(),
            name: name.clone(),
        }));
        let shown = if fault.is_some() { name.escape_debug().to_string() } else { name };
        all.push(found(format!("{}/{shown}", file.name), location, fault));
    }
    Ok(all)
}

/// What packers of some systems add of their own.
fn hidden(name: &str) -> bool {
    name.split('/').any(|part| part == "__MACOSX" || (part.starts_with('.') && part != ".."))
}

fn leads_out(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    name.starts_with(['/', '\\']) || name.contains(['\0', ':']) || parts.any(|part| part == "..")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;

    use super::super::pattern;
    use super::*;

    /// An archive of these members.
    pub fn zipped(members: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in members {
            let stored = SimpleFileOptions::default().compression_method(CompressionMethod::STORE);
            archive.start_file(*name, stored).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn found(bytes: &[u8]) -> Vec<Found> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.zip"), bytes).unwrap();
        let files = pattern::find("a.zip", dir.path()).unwrap();
        let all = expand(files).unwrap();
        // The bytes are read while the folder is there.
        for file in all.iter().filter(|f| f.fault.is_none()) {
            file.location.open(Arc::default()).unwrap();
        }
        all
    }

    #[test]
    fn members_are_files_and_what_is_about_them_is_not() {
        let bytes = zipped(&[
            ("README", "about"),
            ("x.en-is.en", "yes\n"),
            ("x.en-is.is", "já\n"),
            ("x.en-is.xml", "<cesAlign/>"),
            ("deep/notes.xml", "<tmx/>"),
        ]);
        let names: Vec<String> = found(&bytes).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["a.zip/x.en-is.en", "a.zip/x.en-is.is", "a.zip/deep/notes.xml"]);
    }

    #[test]
    fn a_member_is_read_and_checked() {
        let mut bytes = zipped(&[("a.txt", "þetta er texti")]);
        let dir = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            let path = dir.path().join("a.zip");
            fs::write(&path, bytes).unwrap();
            let all = expand(pattern::find("a.zip", dir.path()).unwrap()).unwrap();
            let mut text = String::new();
            let read = all[0].location.open(Arc::default()).unwrap().read_to_string(&mut text);
            read.map(|_| text).map_err(|e| e.to_string())
        };
        assert_eq!(read(&bytes).unwrap(), "þetta er texti");
        let at = bytes.windows(5).position(|w| w == b"texti").unwrap();
        bytes[at] = b'T';
        assert_eq!(read(&bytes).unwrap_err(), "checksum mismatch");
    }

    #[test]
    fn dishonest_members_and_broken_archives_say_so() {
        let bytes = zipped(&[("xx/../../etc/passwd", "x"), ("b.txt", "y")]);
        let all = found(&bytes);
        assert_eq!(all[0].fault.as_deref(), Some("the member's name leads out of the archive"));
        assert_eq!(all[1].fault, None);
        let all = found(&bytes[..bytes.len() - 30]);
        assert!(all[0].fault.as_deref().unwrap().starts_with("the zip archive cannot be read"));
    }
}
