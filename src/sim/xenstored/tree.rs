// SPDX-License-Identifier: GPL-3.0-or-later
//! The nodes, their permissions, and what a change does to them.

use std::collections::BTreeMap;

use crate::xen::DomId;

/// An error's name on the wire.
pub(super) type Errno = &'static str;

/// What a domain may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Right {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Both.
    Both,
}

/// A node's permissions: the first entry names the owner, who may do all, and what others may.
pub(in crate::sim) type Permissions = Vec<(DomId, Right)>;

#[derive(Clone, Debug)]
struct Node {
    value: Vec<u8>,
    permissions: Permissions,
    /// Changes with the value, the permissions, and the list of children.
    generation: u64,
}

/// All nodes by absolute path.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    generation: u64,
}

/// One change of the tree, as it is replayed when a transaction commits.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write(String, Vec<u8>),
    Mkdir(String),
    Remove(String),
    Permit(String, Permissions),
}

impl Edit {
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Write(path, _) | Self::Mkdir(path) | Self::Remove(path) | Self::Permit(path, _) => path,
        }
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node { value: Vec::new(), permissions: vec![(DomId(0), Right::Read)], generation: 1 };
        Self { nodes: BTreeMap::from([("/".to_owned(), root)]), generation: 1 }
    }

    /// 0 for a node that is not there.
    pub(super) fn generation(&self, path: &str) -> u64 {
        self.nodes.get(path).map_or(0, |node| node.generation)
    }

    pub(super) fn read(&self, domid: DomId, path: &str) -> Result<&[u8], Errno> {
        self.node(domid, path, false).map(|node| node.value.as_slice())
    }

    pub(super) fn permissions(&self, domid: DomId, path: &str) -> Result<&Permissions, Errno> {
        self.node(domid, path, false).map(|node| &node.permissions)
    }

    pub(super) fn children(&self, domid: DomId, path: &str) -> Result<Vec<&str>, Errno> {
        self.node(domid, path, false)?;
        let prefix = below(path);
        let names = self.nodes.range(prefix.clone()..).map_while(|(path, _)| path.strip_prefix(&prefix));
        Ok(names.filter(|name| !name.is_empty() && !name.contains('/')).collect())
    }

    /// Makes one change; false when nothing had to change (and no watch fires).
    pub(super) fn edit(&mut self, domid: DomId, edit: Edit) -> Result<bool, Errno> {
        self.generation += 1;
        match edit {
            Edit::Write(path, value) => self.write(domid, &path, value).map(|()| true),
            Edit::Mkdir(path) if self.nodes.contains_key(&path) => Ok(false),
            Edit::Mkdir(path) => self.write(domid, &path, Vec::new()).map(|()| true),
            Edit::Remove(path) => self.remove(domid, &path),
            Edit::Permit(path, permissions) => {
                let owner = self.node(domid, &path, true)?.permissions.first().map(|first| first.0);
                if domid != DomId(0) && owner != Some(domid) {
                    return Err("EACCES");
                }
                let generation = self.generation;
                if let Some(node) = self.nodes.get_mut(&path) {
                    node.permissions = permissions;
                    node.generation = generation;
                }
                Ok(true)
            }
        }
    }

    fn node(&self, domid: DomId, path: &str, write: bool) -> Result<&Node, Errno> {
        match self.nodes.get(path) {
            Some(node) if may(&node.permissions, domid, write) => Ok(node),
            Some(_) => Err("EACCES"),
            // Whoever may not look into the parent is not told what is missing in it.
            None if may(self.nearest(path), domid, write) => Err("ENOENT"),
            None => Err("EACCES"),
        }
    }

    /// The permissions of the nearest node above that exists.
    fn nearest(&self, path: &str) -> &[(DomId, Right)] {
        let mut at = path;
        while let Some(up) = parent(at) {
            if let Some(node) = self.nodes.get(up) {
                return &node.permissions;
            }
            at = up;
        }
        &[]
    }

    fn write(&mut self, domid: DomId, path: &str, value: Vec<u8>) -> Result<(), Errno> {
        match self.node(domid, path, true) {
            Ok(_) => {}
            Err("ENOENT") => self.create(domid, path),
            Err(error) => return Err(error),
        }
        let generation = self.generation;
        if let Some(node) = self.nodes.get_mut(path) {
            node.value = value;
            node.generation = generation;
        }
        Ok(())
    }

    /// Makes the node and all that is missing above it: with the parent's permissions, but the maker's own.
    fn create(&mut self, domid: DomId, path: &str) {
        let generation = self.generation;
        let mut permissions = self.nearest(path).to_vec();
        if domid != DomId(0)
            && let Some(owner) = permissions.first_mut()
        {
            owner.0 = domid;
        }
        let mut at = path;
        loop {
            let permissions = permissions.clone();
            self.nodes.insert(at.to_owned(), Node { value: Vec::new(), permissions, generation });
            match parent(at) {
                Some(up) if !self.nodes.contains_key(up) => at = up,
                Some(up) => return self.touch(up),
                None => return,
            }
        }
    }

    fn touch(&mut self, path: &str) {
        let generation = self.generation;
        if let Some(node) = self.nodes.get_mut(path) {
            node.generation = generation;
        }
    }

    /// What lies below goes too, whoever owns it.
    fn remove(&mut self, domid: DomId, path: &str) -> Result<bool, Errno> {
        let up = parent(path).ok_or("EINVAL")?.to_owned();
        match self.node(domid, path, true) {
            Ok(_) => {}
            Err("ENOENT") if self.nodes.contains_key(&up) => return Ok(false),
            Err(error) => return Err(error),
        }
        let prefix = below(path);
        self.nodes.retain(|node, _| node != path && !node.starts_with(&prefix));
        self.touch(&up);
        Ok(true)
    }
}

fn may(permissions: &[(DomId, Right)], domid: DomId, write: bool) -> bool {
    let Some((owner, others)) = permissions.first() else { return domid == DomId(0) };
    if domid == DomId(0) || domid == *owner {
        return true;
    }
    let named = permissions.iter().skip(1).find(|entry| entry.0 == domid);
    match named.map_or(*others, |entry| entry.1) {
        Right::None => false,
        Right::Read => !write,
        Right::Write => write,
        Right::Both => true,
    }
}

/// The prefix of the paths below `path`.
pub(super) fn below(path: &str) -> String {
    if path == "/" { path.to_owned() } else { format!("{path}/") }
}

fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (up, _) => Some(up),
    }
}

/// Whether xenstore takes this as an absolute path.
pub(super) fn valid(path: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte);
    path.starts_with('/')
        && path.len() <= 3072
        && path.bytes().all(letter)
        && !path.contains("//")
        && (path == "/" || !path.ends_with('/'))
}
